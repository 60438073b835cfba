rem vmtoolsd --cmd "info-get guestinfo.a"
sc query vmtools
