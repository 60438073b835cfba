#!/bin/bash
# Packs a raw disk as VMware exports a machine: an OVA (OVF descriptor, SHA256 manifest, streamOptimized
# VMDK), and on demand a .vmx beside a VMDK, as it lies on a datastore.
#
#   ova.sh DISK.img OUT.ova [--vmx OUT.vmx] [--name NAME] [--fw bios|uefi] [--nics N] [--mac MAC]
#          [--memory MIB] [--cpus N] [--products FILE]
#
# --products gives the machine these ProductSections, which its guest is told as a CD-ROM or by VMware Tools, and a
# setting guestinfo.role, which VMware Tools alone tell it.
#
# The NICs are VMXNET3 on virtual slots 192, 224, 256..., so that udev in the guest calls them ens192,
# ens224, ens256; the first has --mac, each further one has the last octet one higher. Needs qemu-img.
set -euo pipefail

die() { echo "ova.sh: $*" >&2; exit 1; }

parse_options() {
    [ $# -ge 2 ] || die "usage: ova.sh DISK.img OUT.ova [OPTION VALUE]... (see the head of this file)"
    DISK=$1 OVA=$2; shift 2
    VMX='' NAME=vmguest FW=bios NICS=1 MAC=00:50:56:aa:bb:01 MEMORY=1024 CPUS=2 PRODUCTS=''
    while [ $# -gt 0 ]; do
        [ $# -ge 2 ] || die "$1 needs a value"
        case $1 in
            --vmx) VMX=$2 ;; --name) NAME=$2 ;; --fw) FW=$2 ;; --nics) NICS=$2 ;; --mac) MAC=$2 ;;
            --memory) MEMORY=$2 ;; --cpus) CPUS=$2 ;; --products) PRODUCTS=$2 ;;
            *) die "unknown option $1" ;;
        esac
        shift 2
    done
    # The name is written into XML and used as a file name.
    [[ $NAME =~ ^[A-Za-z0-9._-]+$ ]] || die "--name $NAME: only letters, digits, dot, dash and underscore"
    case $FW in bios) FIRMWARE=bios ;; uefi) FIRMWARE=efi ;; *) die "--fw $FW: must be bios or uefi" ;; esac
}

nth_mac() { printf '%s:%02x' "${MAC%:*}" $((0x${MAC##*:} + $1)); }

ovf_nics() {
    local i
    for ((i = 0; i < NICS; i++)); do
        cat <<END
      <Item>
        <rasd:Address>$(nth_mac "$i")</rasd:Address>
        <rasd:AddressOnParent>$((7 + i))</rasd:AddressOnParent>
        <rasd:AutomaticAllocation>true</rasd:AutomaticAllocation>
        <rasd:Connection>VM Network</rasd:Connection>
        <rasd:Description>VmxNet3 ethernet adapter on &quot;VM Network&quot;</rasd:Description>
        <rasd:ElementName>Network adapter $((i + 1))</rasd:ElementName>
        <rasd:InstanceID>$((10 + i))</rasd:InstanceID>
        <rasd:ResourceSubType>VmxNet3</rasd:ResourceSubType>
        <rasd:ResourceType>10</rasd:ResourceType>
        <vmw:Config ovf:required="false" vmw:key="slotInfo.pciSlotNumber" vmw:value="$((192 + 32 * i))"/>
      </Item>
END
    done
}

# Arguments: the VMDK's size in bytes, the disk's capacity in bytes.
ovf() {
    local transport='' setting=''
    if [ "$PRODUCTS" ]; then
        transport=' ovf:transport="com.vmware.guestInfo iso"'
        setting='      <vmw:ExtraConfig ovf:required="false" vmw:key="guestinfo.role" vmw:value="front &amp; back"/>'
    fi
    cat <<END
<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData" xmlns:vmw="http://www.vmware.com/schema/ovf" xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData">
  <References>
    <File ovf:href="$NAME-disk1.vmdk" ovf:id="file1" ovf:size="$1"/>
  </References>
  <DiskSection>
    <Info>Virtual disk information</Info>
    <Disk ovf:capacity="$2" ovf:capacityAllocationUnits="byte" ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>
  </DiskSection>
  <NetworkSection>
    <Info>The list of logical networks</Info>
    <Network ovf:name="VM Network">
      <Description>The VM Network network</Description>
    </Network>
  </NetworkSection>
  <VirtualSystem ovf:id="$NAME">
    <Info>A virtual machine</Info>
    <Name>$NAME</Name>
    <OperatingSystemSection ovf:id="96" vmw:osType="debian12_64Guest">
      <Info>The kind of installed guest operating system</Info>
      <Description>Debian GNU/Linux 12 (64-bit)</Description>
    </OperatingSystemSection>
${PRODUCTS:+$(< "$PRODUCTS")}
    <VirtualHardwareSection$transport>
      <Info>Virtual hardware requirements</Info>
      <System>
        <vssd:ElementName>Virtual Hardware Family</vssd:ElementName>
        <vssd:InstanceID>0</vssd:InstanceID>
        <vssd:VirtualSystemIdentifier>$NAME</vssd:VirtualSystemIdentifier>
        <vssd:VirtualSystemType>vmx-19</vssd:VirtualSystemType>
      </System>
      <Item>
        <rasd:AllocationUnits>hertz * 10^6</rasd:AllocationUnits>
        <rasd:Description>Number of Virtual CPUs</rasd:Description>
        <rasd:ElementName>$CPUS virtual CPU(s)</rasd:ElementName>
        <rasd:InstanceID>1</rasd:InstanceID>
        <rasd:ResourceType>3</rasd:ResourceType>
        <rasd:VirtualQuantity>$CPUS</rasd:VirtualQuantity>
      </Item>
      <Item>
        <rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits>
        <rasd:Description>Memory Size</rasd:Description>
        <rasd:ElementName>${MEMORY}MB of memory</rasd:ElementName>
        <rasd:InstanceID>2</rasd:InstanceID>
        <rasd:ResourceType>4</rasd:ResourceType>
        <rasd:VirtualQuantity>$MEMORY</rasd:VirtualQuantity>
      </Item>
      <Item>
        <rasd:Address>0</rasd:Address>
        <rasd:Description>SCSI Controller</rasd:Description>
        <rasd:ElementName>SCSI controller 0</rasd:ElementName>
        <rasd:InstanceID>3</rasd:InstanceID>
        <rasd:ResourceSubType>VirtualSCSI</rasd:ResourceSubType>
        <rasd:ResourceType>6</rasd:ResourceType>
      </Item>
      <Item>
        <rasd:AddressOnParent>0</rasd:AddressOnParent>
        <rasd:ElementName>Hard disk 1</rasd:ElementName>
        <rasd:HostResource>ovf:/disk/vmdisk1</rasd:HostResource>
        <rasd:InstanceID>4</rasd:InstanceID>
        <rasd:Parent>3</rasd:Parent>
        <rasd:ResourceType>17</rasd:ResourceType>
      </Item>
$(ovf_nics)
      <vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="$FIRMWARE"/>
$setting
    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
END
}

pack_ova() {
    local vmdk=$WORK/$NAME-disk1.vmdk
    qemu-img convert -f raw -O vmdk -o subformat=streamOptimized,adapter_type=lsilogic "$DISK" "$vmdk"
    ovf "$(stat -c %s "$vmdk")" "$(stat -L -c %s "$DISK")" > "$WORK/$NAME.ovf"
    (
        cd "$WORK"
        local file
        for file in "$NAME.ovf" "$NAME-disk1.vmdk"; do
            echo "SHA256($file)= $(sha256sum "$file" | cut -d ' ' -f 1)"
        done > "$NAME.mf"
    )
    # The OVF specification asks for ustar and for the descriptor first, so that it can be read from a stream.
    tar -C "$WORK" --format=ustar --owner=0 --group=0 -cf "$OVA.part" "$NAME.ovf" "$NAME.mf" "$NAME-disk1.vmdk"
    mv "$OVA.part" "$OVA"
}

vmx() {
    local i
    cat <<END
.encoding = "UTF-8"
config.version = "8"
virtualHW.version = "19"
displayName = "$NAME"
guestOS = "debian12-64"
memSize = "$MEMORY"
numvcpus = "$CPUS"
pciBridge0.present = "TRUE"
pciBridge4.present = "TRUE"
pciBridge4.virtualDev = "pcieRootPort"
pciBridge4.functions = "8"
scsi0.present = "TRUE"
scsi0.virtualDev = "pvscsi"
scsi0.pciSlotNumber = "160"
scsi0:0.present = "TRUE"
scsi0:0.deviceType = "scsi-hardDisk"
scsi0:0.fileName = "$(basename "${VMX%.vmx}").vmdk"
END
    # ESXi writes this line for EFI only.
    [ $FW = bios ] || echo 'firmware = "efi"'
    for ((i = 0; i < NICS; i++)); do
        cat <<END
ethernet$i.present = "TRUE"
ethernet$i.virtualDev = "vmxnet3"
ethernet$i.networkName = "VM Network"
ethernet$i.addressType = "vpx"
ethernet$i.generatedAddress = "$(nth_mac "$i")"
ethernet$i.pciSlotNumber = "$((192 + 32 * i))"
END
    done
}

parse_options "$@"
WORK=$(mktemp -d); trap 'rm -rf "$WORK" "$OVA.part"' EXIT
pack_ova
if [ "$VMX" ]; then
    # A flat VMDK is how ESXi keeps a disk: a small text descriptor and the bytes beside it.
    qemu-img convert -f raw -O vmdk -o subformat=monolithicFlat,adapter_type=lsilogic "$DISK" "${VMX%.vmx}.vmdk"
    vmx > "$VMX"
fi
