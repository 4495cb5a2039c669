//! Private clusters of Redis and Valkey.

use test_services::{Missing, RedisCluster, available};

#[test]
fn redis_clusters_survive_failovers_deaths_and_migrations() {
    survives(RedisCluster::start());
}

#[test]
fn valkey_clusters_survive_failovers_deaths_and_migrations() {
    survives(RedisCluster::valkey());
}

fn survives(cluster: Result<RedisCluster, Missing>) {
    let Some(cluster) = available(cluster) else {
        return;
    };
    assert_eq!(cluster.urls().len(), 6);
    // The slot of "a" is 15495, which belongs to the last shard.
    assert_eq!(cluster.master(2).command(&["SET", "a", "1"]), "OK");

    let replica = cluster.replica(2).port();
    cluster.failover(2);
    assert_eq!(cluster.master(2).port(), replica);
    assert_eq!(cluster.master(2).command(&["GET", "a"]), "1");

    cluster.kill_master(2);
    cluster.await_health();
    assert_ne!(cluster.master(2).port(), replica);
    assert_eq!(cluster.master(2).command(&["INCR", "a"]), "2");
    cluster.revive();
    assert_eq!(cluster.replica(2).port(), replica);

    cluster.migrate_slot(15_495, 0);
    assert_eq!(cluster.master(0).command(&["GET", "a"]), "2");
    cluster.migrate_slot(15_495, 2);
    assert_eq!(cluster.master(2).command(&["GET", "a"]), "2");
}
