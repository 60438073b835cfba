//! The signature of a manifest: a `.cert` file with a digest line, whose digest is an RSA (or ECDSA)
//! signature, and certificates in PEM (DSP0243 section 5.1, and what VMware's tools write).
//!
//! OpenSSL checks it: chains, dates and the system's trusted certificates are then the same as for all other
//! programs of the host.

use std::path::Path;

use openssl::hash::MessageDigest;
use openssl::sign::Verifier;
use openssl::stack::Stack;
use openssl::x509::store::{X509Store, X509StoreBuilder};
use openssl::x509::verify::{X509VerifyFlags, X509VerifyParam};
use openssl::x509::{X509, X509NameRef, X509PurposeId, X509StoreContext};
use serde::Serialize;

use super::{Algorithm, manifest};

/// Who signed, and whether that means something.
#[derive(Debug, Clone, Serialize)]
pub struct Signature {
    /// Whether it is a signature of the manifest by this certificate.
    pub valid: bool,
    /// Algorithm of the digest that is signed.
    pub algorithm: Algorithm,
    /// Who the certificate is of.
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// SHA-256 of the certificate, in hexadecimal digits.
    pub fingerprint: String,
    /// Its first day, as OpenSSL writes it.
    pub not_before: String,
    /// Its last day.
    pub not_after: String,
    /// Whether the system, or the user's own certificates, vouch for it now.
    pub trusted: bool,
    /// Why not.
    pub untrusted: Option<String>,
}

/// Checks a certificate file against the manifest's bytes.
///
/// # Errors
///
/// What is wrong with the file, as a sentence.
pub(super) fn check(
    content: &[u8],
    signed_name: &str,
    signed: &[u8],
    cas: &[&Path],
) -> Result<Signature, String> {
    let text = String::from_utf8_lossy(content);
    let lines = text.lines().map(str::trim);
    let entry = lines
        .take_while(|line| !line.starts_with("-----BEGIN"))
        .find(|line| !line.is_empty())
        .ok_or("it has no signature: a line such as SHA256(FILE.mf)= HEX before the certificate")?;
    let entry = manifest::entry(entry)?;
    let file_name = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
    if file_name(&entry.name) != file_name(signed_name) {
        return Err(format!(
            "it signs {:?}, and the manifest is {signed_name:?}",
            entry.name
        ));
    }
    let bytes = hex(&entry.digest).ok_or("its signature has an odd number of digits")?;
    let chain = X509::stack_from_pem(content)
        .ok()
        .filter(|chain| !chain.is_empty())
        .ok_or("it has no certificate in PEM form")?;
    let signer = chain.first().ok_or("it has no certificate in PEM form")?;
    let failed = |error: openssl::error::ErrorStack| format!("OpenSSL cannot check it: {error}");
    let untrusted = trust(signer, &chain, cas).map_err(|error| error.to_string())?;
    let fingerprint = signer.digest(MessageDigest::sha256()).map_err(failed)?;
    Ok(Signature {
        valid: verifies(signer, entry.algorithm, &bytes, signed),
        algorithm: entry.algorithm,
        subject: name(signer.subject_name()),
        issuer: name(signer.issuer_name()),
        fingerprint: hex_of(&fingerprint),
        not_before: signer.not_before().to_string(),
        not_after: signer.not_after().to_string(),
        trusted: untrusted.is_none(),
        untrusted,
    })
}

/// Why the trusted certificates cannot be set up.
#[derive(Debug, thiserror::Error)]
enum StoreError {
    #[error("OpenSSL cannot check it: {0}")]
    OpenSsl(#[from] openssl::error::ErrorStack),
    #[error("reading the certificates in {path}: {why}")]
    Ca { path: String, why: String },
}

fn verifies(signer: &X509, algorithm: Algorithm, signature: &[u8], signed: &[u8]) -> bool {
    let check = || {
        let key = signer.public_key()?;
        let mut verifier = Verifier::new(algorithm.digest(), &key)?;
        verifier.verify_oneshot(signature, signed)
    };
    // An unsuitable key or a signature of the wrong length is an error of OpenSSL, and no signature.
    check().unwrap_or(false)
}

/// Why nobody vouches for the signer; none if somebody does.
fn trust(signer: &X509, chain: &[X509], cas: &[&Path]) -> Result<Option<String>, StoreError> {
    let store = store(cas)?;
    let mut others = Stack::new()?;
    for certificate in chain.iter().skip(1) {
        others.push(certificate.clone())?;
    }
    let mut context = X509StoreContext::new()?;
    let why = context.init(&store, signer, &others, |context| {
        let trusted = context.verify_cert()?;
        Ok((!trusted).then(|| context.error().error_string().to_owned()))
    })?;
    Ok(why)
}

fn store(cas: &[&Path]) -> Result<X509Store, StoreError> {
    let mut builder = X509StoreBuilder::new()?;
    builder.set_default_paths()?;
    let mut param = X509VerifyParam::new()?;
    // Code signing certificates, server certificates, and such without a purpose all sign appliances.
    param.set_purpose(X509PurposeId::ANY)?;
    // What the user names is trusted, whether or not it is a root.
    param.set_flags(X509VerifyFlags::PARTIAL_CHAIN)?;
    builder.set_param(&param)?;
    for path in cas {
        let content = std::fs::read(path).map_err(|source| StoreError::Ca {
            path: path.display().to_string(),
            why: source.to_string(),
        })?;
        let certificates = X509::stack_from_pem(&content)?;
        if certificates.is_empty() {
            return Err(StoreError::Ca {
                path: path.display().to_string(),
                why: "there is no certificate in PEM form in it".to_owned(),
            });
        }
        for certificate in certificates {
            builder.add_cert(certificate)?;
        }
    }
    Ok(builder.build())
}

fn name(name: &X509NameRef) -> String {
    let parts: Vec<String> = name
        .entries()
        .map(|entry| {
            let key = entry.object().nid().short_name().unwrap_or("?");
            let value = entry.data().to_string().unwrap_or_default();
            format!("{key}={value}")
        })
        .collect();
    parts.join(", ")
}

fn hex(digits: &str) -> Option<Vec<u8>> {
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok())
        .collect()
}

pub(super) fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
