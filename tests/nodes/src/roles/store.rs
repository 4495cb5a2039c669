//! Processes with a store alone.

use std::{io::stdin, time::Duration};

use tower_async_job_core::{Created, JobId};

use crate::{
    child::say,
    jobs::{CHUNK, CHUNKS, add, claim, done, job, keyed, offer, open, replayable, streamed},
    nodes::{LEASE, Nodes},
};

fn id(text: &str) -> JobId {
    text.trim().parse().unwrap()
}

pub(crate) async fn play(role: &str, data: &impl Nodes) {
    let store = &*open(data).await.unwrap();
    match role {
        "open" => say("opened"),
        // Claims and finishes jobs until there are none.
        "claim" => loop {
            let claims = claim(store, 3).await;
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
            for claim in claim(store, 3).await {
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
            for line in stdin().lines() {
                store.cancel(&id(&line.unwrap())).await.unwrap();
                say("cancelled");
            }
        }
        // Offers a job for each line that it reads.
        "offer" => {
            say("ready");
            for _ in stdin().lines() {
                say(offer(store).await.encode());
            }
        }
        // Creates jobs with one key each, for ever.
        "create" => {
            for number in 0.. {
                let job = keyed(store, number);
                let id = job.id;
                let created = store.create(job).await.unwrap();
                assert!(matches!(created, Created::New { .. }));
                say(id.encode());
            }
        }
        // Runs jobs with a result in chunks, for ever.
        "finish" => loop {
            let lease = add(store, replayable(store, "/again")).await;
            say(lease.id.encode());
            for index in 0..CHUNKS {
                let data = vec![7; CHUNK].into();
                store.write_chunk(&lease, index, data).await.unwrap();
            }
            store.finish(&lease, streamed().into()).await.unwrap();
        },
        // Runs a job, and one that may be run again, for ever.
        "renew" => {
            let lost = add(store, job(store)).await;
            let again = add(store, replayable(store, "/again")).await;
            say(lost.id.encode());
            say(again.id.encode());
            loop {
                tokio::time::sleep(LEASE / 3).await;
                store.renew(&[lost, again]).await.unwrap();
            }
        }
        other => panic!("no role is called {other}"),
    }
}
