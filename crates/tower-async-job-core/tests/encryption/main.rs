//! Keys that encrypt the data of clients.

mod parsing;

use tower_async_job_core::{EncryptionKeys, JobId, Seal, SealContext, SealedPart};

/// A chunk that was sealed by an independent implementation of the cipher: with the bytes 0 to 31
/// as the key `2026`, and the bytes 0x40 to 0x57 as the nonce.
const GOLDEN: &[u8] = include_bytes!("golden/sealed-1.bin");

const PLAIN: &[u8] = b"a part of a job";

fn keys() -> EncryptionKeys {
    EncryptionKeys::new("2026", std::array::from_fn(|n| n as u8)).unwrap()
}

fn context() -> SealContext {
    let id = JobId::from_bits(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff);
    let part = SealedPart::Chunk { epoch: 2, index: 3 };
    SealContext::new(id, part)
}

#[test]
fn sealed_bytes_have_the_layout_of_the_first_release() {
    assert_eq!(keys().open(&context(), GOLDEN).unwrap(), PLAIN);
    let sealed = keys().seal(&context(), PLAIN).unwrap();
    assert_eq!(sealed.len(), GOLDEN.len());
    assert_eq!(sealed.len(), PLAIN.len() + keys().overhead());
    assert_eq!(sealed[..6], GOLDEN[..6]);
    assert_eq!(sealed[..6], *b"\xe1\x042026");
    assert_eq!(keys().open(&context(), &sealed).unwrap(), PLAIN);
}

#[test]
fn nothing_is_sealed_too() {
    let sealed = keys().seal(&context(), b"").unwrap();
    assert_eq!(sealed.len(), keys().overhead());
    assert_eq!(keys().open(&context(), &sealed).unwrap(), b"");
}

#[test]
fn each_seal_has_a_nonce_of_its_own() {
    let sealed: Vec<_> = (0..100).map(|_| keys().seal(&context(), PLAIN)).collect();
    let mut nonces: Vec<_> = sealed
        .into_iter()
        .map(|sealed| sealed.unwrap()[6..30].to_vec())
        .collect();
    nonces.sort();
    nonces.dedup();
    assert_eq!(nonces.len(), 100);
}

#[test]
fn s06_sealed_bytes_cut_anywhere_are_corrupt() {
    for length in 0..GOLDEN.len() {
        let error = keys().open(&context(), &GOLDEN[..length]).unwrap_err();
        assert!(error.is_corrupt(), "{length}: {error}");
    }
    let longer = [GOLDEN, b"x"].concat();
    assert!(keys().open(&context(), &longer).unwrap_err().is_corrupt());
}

#[test]
fn s06_every_flipped_bit_is_detected() {
    for bit in 0..GOLDEN.len() * 8 {
        let mut changed = GOLDEN.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        let error = keys().open(&context(), &changed).unwrap_err();
        match bit / 8 {
            0 => assert!(error.is_unsupported_version(), "{bit}: {error}"),
            1 => assert!(
                error.is_unknown_key() || error.is_corrupt(),
                "{bit}: {error}"
            ),
            2..6 => assert!(error.is_unknown_key(), "{bit}: {error}"),
            _ => assert!(error.is_corrupt(), "{bit}: {error}"),
        }
    }
}

#[test]
fn sealed_bytes_open_in_their_context_only() {
    let SealContext { id, part, .. } = context();
    let (epoch, index) = (2, 3);
    let mut others = vec![SealContext::new(JobId::from_bits(id.to_bits() ^ 1), part)];
    others.extend(
        [
            SealedPart::Request,
            SealedPart::Response,
            SealedPart::Head {
                epoch,
                chunks: index,
                len: 0,
            },
            SealedPart::Head {
                epoch,
                chunks: index,
                len: 1,
            },
            SealedPart::Chunk { epoch: 3, index },
            SealedPart::Chunk { epoch, index: 2 },
            SealedPart::Partial,
            SealedPart::Metadata,
            SealedPart::Checkpoint,
            SealedPart::Notify,
        ]
        .map(|part| SealContext::new(id, part)),
    );
    for (n, other) in others.iter().enumerate() {
        let error = keys().open(other, GOLDEN).unwrap_err();
        assert!(error.is_corrupt(), "{other:?}: {error}");
        assert!(
            others[..n]
                .iter()
                .all(|one| one.to_bytes() != other.to_bytes())
        );
    }
}

#[test]
fn key_is_replaced_while_both_are_held() {
    let (old, new) = ([1; 32], [2; 32]);
    let before = EncryptionKeys::new("a", old).unwrap();
    let first = before.clone().with_older("b", new).unwrap();
    let second = EncryptionKeys::new("b", new).unwrap();
    let both = second.clone().with_older("a", old).unwrap();
    let by_old = first.seal(&context(), PLAIN).unwrap();
    let by_new = both.seal(&context(), PLAIN).unwrap();
    for keys in [&first, &both] {
        assert_eq!(keys.open(&context(), &by_old).unwrap(), PLAIN);
        assert_eq!(keys.open(&context(), &by_new).unwrap(), PLAIN);
    }
    assert_eq!(before.open(&context(), &by_old).unwrap(), PLAIN);
    let error = second.open(&context(), &by_old).unwrap_err();
    assert!(error.is_unknown_key() && !error.is_corrupt());
    assert!(error.to_string().contains("the key \"a\","), "{error}");
}

#[test]
fn another_key_of_the_same_id_opens_nothing() {
    let other = EncryptionKeys::new("2026", [9; 32]).unwrap();
    assert!(other.open(&context(), GOLDEN).unwrap_err().is_corrupt());
}
