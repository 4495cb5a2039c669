//! The roles of other processes.

use std::{path::PathBuf, time::Duration};

use tower_async_job_core::{Created, IdempotencyKey, JobId, JobStore, NewJob};

use crate::{
    CHUNK, CHUNKS, add, child, child::say, claim, done, offer, open, replayable, streamed,
};

fn id(text: &str) -> JobId {
    text.trim().parse().unwrap()
}

/// Plays the role of a child; without one, it is a test that passes.
#[test]
fn role() {
    child::play(play);
}

async fn play(role: String, file: PathBuf) {
    let store = open(&file).await;
    match role.as_str() {
        "open" => say("opened"),
        // Claims and finishes jobs until there are none.
        "claim" => loop {
            let claims = claim(&store, 3).await;
            if claims.is_empty() {
                return;
            }
            for claim in claims {
                store.finish(&claim.lease, done().into()).await.unwrap();
                say(claim.lease.id.encode());
            }
        },
        // The same, for ever.
        "work" => loop {
            for claim in claim(&store, 3).await {
                tokio::time::sleep(Duration::from_millis(2)).await;
                // Its lease may have ended.
                if store.finish(&claim.lease, done().into()).await.is_ok() {
                    say(claim.lease.id.encode());
                }
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        },
        // Cancels the jobs whose ids it reads.
        "cancel" => {
            say("ready");
            for line in std::io::stdin().lines() {
                store.cancel(&id(&line.unwrap())).await.unwrap();
                say("cancelled");
            }
        }
        // Offers a job for each line that it reads.
        "offer" => {
            say("ready");
            for _ in std::io::stdin().lines() {
                say(offer(&store).await.encode());
            }
        }
        // Creates jobs with one key each, for ever.
        "create" => {
            for number in 0.. {
                let key = IdempotencyKey::new(number.to_string(), [1; 32]).unwrap();
                let job = NewJob::new(JobId::random()).with_idempotency(key);
                let id = job.id;
                let created = store.create(job).await.unwrap();
                assert!(matches!(created, Created::New { .. }));
                say(id.encode());
            }
        }
        // Runs jobs with a result in chunks, for ever.
        "finish" => loop {
            let lease = add(&store, replayable()).await;
            say(lease.id.encode());
            for index in 0..CHUNKS {
                let data = vec![7; CHUNK].into();
                store.write_chunk(&lease, index, data).await.unwrap();
            }
            store.finish(&lease, streamed().into()).await.unwrap();
        },
        // Runs a job, and one that may be run again, for ever.
        "run" => {
            let lost = add(&store, NewJob::new(JobId::random())).await;
            let again = add(&store, replayable()).await;
            say(lost.id.encode());
            say(again.id.encode());
            loop {
                tokio::time::sleep(crate::LEASE / 3).await;
                store.renew(&[lost, again]).await.unwrap();
            }
        }
        other => panic!("no role is called {other}"),
    }
}
