//! The signed statement with which a certificate signs in (`private_key_jwt`).
//!
//! Header and claims as in "Microsoft identity platform application
//! authentication certificate credentials".

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rustls_pki_types::pem::{PemObject, SectionKind};
use secrecy::SecretString;
use serde::Serialize;
use sha1::Digest;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use uuid::Uuid;

/// Lifetime of an assertion; Microsoft advises five to ten minutes.
const LIFE: Duration = Duration::from_secs(600);

/// A private key with the certificate that is registered for it.
pub(crate) struct Certificate {
    key: EncodingKey,
    /// SHA-256 of the DER certificate.
    sha256: String,
    /// SHA-1 of the DER certificate, for services that know no other.
    sha1: String,
}

/// How the assertion is signed and names its certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// PS256 and `x5t#S256`, what Microsoft asks for today.
    Current,
    /// RS256 and `x5t`, which some services (AD FS) know alone.
    Older,
}

#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    iss: &'a str,
    sub: &'a str,
    jti: String,
    nbf: u64,
    iat: u64,
    exp: u64,
}

impl Certificate {
    /// Reads a PEM text with one RSA private key and its certificate (the first,
    /// where a chain follows). Line ends lost in a form field are put back.
    pub(crate) fn parse(text: &str) -> Result<Certificate, String> {
        if text.contains("ENCRYPTED") {
            return Err(
                "the private key is encrypted: store it without a passphrase \
                 (openssl pkey -in key.pem -out plain.pem)"
                    .to_string(),
            );
        }
        let pem = unfold(text);
        let (mut key, mut leaf) = (None, None);
        for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem.as_bytes()) {
            let (kind, der) = section.map_err(|e| format!("it is no PEM text: {e}"))?;
            match kind {
                SectionKind::PrivateKey | SectionKind::RsaPrivateKey if key.is_none() => {
                    key = Some(rsa(kind, &der)?);
                }
                SectionKind::EcPrivateKey => return Err(NOT_RSA.to_string()),
                SectionKind::Certificate if leaf.is_none() => leaf = Some(der),
                _ => {}
            }
        }
        let key = key.ok_or("the private key is missing: a block \"BEGIN PRIVATE KEY\"")?;
        let leaf = leaf.ok_or("the certificate is missing: a block \"BEGIN CERTIFICATE\"")?;
        Ok(Certificate {
            key,
            sha256: URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(&leaf)),
            sha1: URL_SAFE_NO_PAD.encode(sha1::Sha1::digest(&leaf)),
        })
    }

    /// One assertion for `audience`, the token URL.
    pub(crate) fn sign(
        &self,
        form: Form,
        client_id: &str,
        audience: &str,
        now: SystemTime,
        id: Uuid,
    ) -> Result<SecretString, String> {
        let header = match form {
            Form::Current => Header {
                x5t_s256: Some(self.sha256.clone()),
                ..Header::new(Algorithm::PS256)
            },
            Form::Older => Header {
                x5t: Some(self.sha1.clone()),
                ..Header::new(Algorithm::RS256)
            },
        };
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let claims = Claims {
            aud: audience,
            iss: client_id,
            sub: client_id,
            jti: id.to_string(),
            nbf: now.as_secs(),
            iat: now.as_secs(),
            exp: (now + LIFE).as_secs(),
        };
        jsonwebtoken::encode(&header, &claims, &self.key)
            .map(SecretString::from)
            .map_err(|e| format!("the private key cannot sign: {e}"))
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("sha256", &self.sha256)
            .finish_non_exhaustive()
    }
}

const NOT_RSA: &str = "the private key is no RSA key, the only kind this sign-in takes";

fn rsa(kind: SectionKind, der: &[u8]) -> Result<EncodingKey, String> {
    match kind {
        SectionKind::RsaPrivateKey => Ok(EncodingKey::from_rsa_der(der)),
        // PKCS#8 may hold any kind of key; jsonwebtoken opens it from PEM only.
        _ => EncodingKey::from_rsa_pem(block("PRIVATE KEY", &STANDARD.encode(der)).as_bytes())
            .map_err(|_| NOT_RSA.to_string()),
    }
}

/// Puts PEM back into lines: a form field turns its line ends into blanks, a
/// conf file or a shell into a literal `\n`.
fn unfold(text: &str) -> String {
    let text = text.replace("\\r", "").replace("\\n", "\n");
    let mut rest = text.as_str();
    let mut out = String::new();
    while let Some((_, tail)) = rest.split_once("-----BEGIN ") {
        let Some((label, tail)) = tail.split_once("-----") else {
            break;
        };
        let Some((body, tail)) = tail.split_once("-----END ") else {
            break;
        };
        let body: String = body.split_ascii_whitespace().collect();
        out.push_str(&block(label, &body));
        rest = tail;
    }
    out
}

fn block(label: &str, base64: &str) -> String {
    let mut out = format!("-----BEGIN {label}-----\n");
    for (place, letter) in base64.chars().enumerate() {
        if place > 0 && place % 64 == 0 {
            out.push('\n');
        }
        out.push(letter);
    }
    out.push_str(&format!("\n-----END {label}-----\n"));
    out
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use jsonwebtoken::{DecodingKey, Validation};
    use proptest::prelude::*;
    use std::sync::LazyLock;

    /// A key pair of our own: PEM with key and certificate, the public key's DER
    /// (PKCS#1), the certificate's DER. One for all tests: making RSA keys is slow.
    pub(crate) struct Pair {
        pub(crate) pem: String,
        pub(crate) public: Vec<u8>,
        pub(crate) der: Vec<u8>,
    }

    pub(crate) static PAIR: LazyLock<Pair> = LazyLock::new(|| {
        let key =
            rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048)
                .unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["bridge".to_string()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        Pair {
            pem: format!("{}{}", key.serialize_pem(), certificate.pem()),
            public: rcgen::PublicKeyData::der_bytes(&key).to_vec(),
            der: certificate.der().to_vec(),
        }
    });

    fn claims(token: &str, algorithm: Algorithm) -> serde_json::Value {
        let mut validation = Validation::new(algorithm);
        validation.set_audience(&["https://login.example/t/oauth2/v2.0/token"]);
        jsonwebtoken::decode(token, &DecodingKey::from_rsa_der(&PAIR.public), &validation)
            .unwrap()
            .claims
    }

    fn sign(certificate: &Certificate, form: Form) -> String {
        use secrecy::ExposeSecret;
        certificate
            .sign(
                form,
                "client",
                "https://login.example/t/oauth2/v2.0/token",
                SystemTime::now(),
                Uuid::nil(),
            )
            .unwrap()
            .expose_secret()
            .to_string()
    }

    #[test]
    fn the_current_form_is_ps256_with_a_sha256_thumbprint() {
        let token = sign(&Certificate::parse(&PAIR.pem).unwrap(), Form::Current);
        let header = jsonwebtoken::decode_header(&token).unwrap();
        assert_eq!(header.alg, Algorithm::PS256);
        assert_eq!(header.typ.as_deref(), Some("JWT"));
        assert_eq!(
            header.x5t_s256.unwrap(),
            URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(&PAIR.der))
        );
        assert_eq!(header.x5t, None);
        let claims = claims(&token, Algorithm::PS256);
        assert_eq!(claims["iss"], "client");
        assert_eq!(claims["sub"], "client");
        assert_eq!(claims["jti"], Uuid::nil().to_string());
        assert_eq!(
            claims["exp"].as_u64().unwrap() - claims["nbf"].as_u64().unwrap(),
            600
        );
    }

    #[test]
    fn the_older_form_is_rs256_with_a_sha1_thumbprint() {
        let token = sign(&Certificate::parse(&PAIR.pem).unwrap(), Form::Older);
        let header = jsonwebtoken::decode_header(&token).unwrap();
        assert_eq!(header.alg, Algorithm::RS256);
        assert_eq!(
            header.x5t.unwrap(),
            URL_SAFE_NO_PAD.encode(sha1::Sha1::digest(&PAIR.der))
        );
        assert_eq!(header.x5t_s256, None);
        claims(&token, Algorithm::RS256);
    }

    #[test]
    fn lost_line_ends_and_any_order_are_understood() {
        let (key, certificate) = PAIR.pem.split_at(PAIR.pem.find("-----BEGIN CERT").unwrap());
        for text in [
            format!("{certificate}{key}"),
            PAIR.pem.replace('\n', " "),
            PAIR.pem.replace('\n', "\\n"),
            PAIR.pem.replace('\n', "\r\n"),
        ] {
            let token = sign(&Certificate::parse(&text).unwrap(), Form::Current);
            claims(&token, Algorithm::PS256);
        }
    }

    #[test]
    fn what_is_missing_or_unusable_is_named() {
        let (key, certificate) = PAIR.pem.split_at(PAIR.pem.find("-----BEGIN CERT").unwrap());
        let refusal = |text: &str| Certificate::parse(text).unwrap_err();
        assert!(refusal(certificate).contains("private key is missing"));
        assert!(refusal(key).contains("certificate is missing"));
        assert!(refusal("hello").contains("private key is missing"));
        let curve = rcgen::KeyPair::generate().unwrap().serialize_pem();
        assert!(refusal(&format!("{curve}{certificate}")).contains("no RSA key"));
        let locked = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        assert!(refusal(&format!("{locked}{certificate}")).contains("passphrase"));
    }

    #[test]
    fn its_debug_form_holds_no_key() {
        let shown = format!("{:?}", Certificate::parse(&PAIR.pem).unwrap());
        assert!(!shown.contains("key"), "{shown}");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_fall(text in ".{0,200}", inside in "[A-Za-z0-9+/= \\\\nr-]{0,80}") {
            for text in [
                text,
                format!("-----BEGIN PRIVATE KEY-----{inside}-----END PRIVATE KEY-----"),
                format!("-----BEGIN CERTIFICATE-----{inside}-----END X"),
            ] {
                prop_assert!(Certificate::parse(&text).is_err());
            }
        }
    }
}
