//! Private clusters of Redis or Valkey servers.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::{Missing, Redis, RedisBuilder, port::Port};

/// The masters at the start. Each has a replica, whose index is higher by this number.
const SHARDS: usize = 3;

/// The number of slots of a cluster.
const SLOTS: usize = 16_384;

/// The milliseconds after which a silent node has failed.
const NODE_TIMEOUT: &str = "2000";

/// The time limit of a change of the cluster on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The time between two looks at the nodes.
const PAUSE: Duration = Duration::from_millis(20);

/// A private cluster of three shards, each with a master and a replica.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Node>,
    killed: Mutex<Vec<usize>>,
}

#[derive(Debug)]
struct Node {
    redis: Redis,
    bus: Port,
}

impl RedisCluster {
    /// Starts a cluster of the servers of the system, and waits until all of it works.
    ///
    /// # Errors
    ///
    /// Fails if there is no such server or it does not start.
    pub fn start() -> Result<Self, Missing> {
        Self::of(&Redis::builder())
    }

    /// Starts a cluster of Valkey servers from the cache, and waits until all of it works.
    ///
    /// # Errors
    ///
    /// Fails if there is no such server or it does not start.
    pub fn valkey() -> Result<Self, Missing> {
        Self::of(&Redis::builder().valkey())
    }

    fn of(builder: &RedisBuilder) -> Result<Self, Missing> {
        let nodes = (0..2 * SHARDS).map(|_| Node::prepare(builder.clone()));
        let cluster = Self {
            nodes: nodes.collect::<Result<_, _>>()?,
            killed: Mutex::default(),
        };
        for (index, node) in cluster.nodes.iter().enumerate() {
            let folder = node.redis.server().folder();
            folder.write("nodes.conf", &cluster.configuration(index))?;
        }
        let launch = |node: &Node| node.redis.server().launch();
        let processes: Vec<_> = cluster.nodes.iter().map(launch).collect::<Result<_, _>>()?;
        for (node, process) in cluster.nodes.iter().zip(processes) {
            node.redis.server().await_ready(&process)?;
        }
        wait(|| cluster.is_healthy())?;
        Ok(cluster)
    }

    /// Returns all that one node knows of the others, as it would have stored it.
    fn configuration(&self, own: usize) -> String {
        let id = |index: usize| format!("{index:040}");
        let line = |(index, node): (usize, &Node)| {
            let shard = index % SHARDS;
            let own = if index == own { "myself," } else { "" };
            let (role, slots) = if index == shard {
                let first = SLOTS * shard / SHARDS;
                let last = SLOTS * (shard + 1) / SHARDS - 1;
                ("master -".to_owned(), format!(" {first}-{last}"))
            } else {
                (format!("slave {}", id(shard)), String::new())
            };
            let (id, address, epoch) = (id(index), node.address(), shard + 1);
            format!("{id} {address} {own}{role} 0 0 {epoch} connected{slots}\n")
        };
        let lines: String = self.nodes.iter().enumerate().map(line).collect();
        format!("{lines}vars currentEpoch {SHARDS} lastVoteEpoch 0\n")
    }

    /// Returns the addresses of all nodes.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.redis.url()).collect()
    }

    /// Returns the master of this shard.
    ///
    /// # Panics
    ///
    /// Panics if there is none, as after [`kill_master`](Self::kill_master).
    #[must_use]
    pub fn master(&self, shard: usize) -> &Redis {
        self.redis(self.master_index(shard))
    }

    /// Returns the replica of this shard, even if it was killed.
    ///
    /// # Panics
    ///
    /// Panics if the shard has no master.
    #[must_use]
    pub fn replica(&self, shard: usize) -> &Redis {
        self.redis(sibling(self.master_index(shard)))
    }

    /// Kills the master of this shard.
    ///
    /// Its replica replaces it within seconds: [`await_health`](Self::await_health) waits for that.
    ///
    /// # Panics
    ///
    /// Panics if there is none.
    pub fn kill_master(&self, shard: usize) {
        let master = self.master_index(shard);
        self.killed().push(master);
        self.redis(master).kill();
    }

    /// Starts all nodes that were killed, and waits until all of them work.
    ///
    /// # Panics
    ///
    /// Panics if they do not work for a long time.
    pub fn revive(&self) {
        for index in self.killed().drain(..) {
            self.redis(index).start_again();
        }
        self.await_health();
    }

    /// Makes the replica of this shard its master, without loss.
    ///
    /// # Panics
    ///
    /// Panics if the nodes do not work for a long time.
    pub fn failover(&self, shard: usize) {
        let replica = self.replica(shard);
        replica.command(&["CLUSTER", "FAILOVER"]);
        wait(|| replica.command(&["ROLE"]).starts_with("master")).expect("the cluster works");
        self.await_health();
    }

    /// Moves a slot with its keys to this shard, while clients use them.
    ///
    /// # Panics
    ///
    /// Panics if the nodes do not work for a long time.
    pub fn migrate_slot(&self, slot: u16, shard: usize) {
        let to = self.master(shard);
        let owners = self.owners(self.living()[0]);
        let owner = owners.iter().find(|(_, slots)| contains(slots, slot));
        let from = self.redis(*owner.expect("the slot has an owner").0);
        let slot = slot.to_string();
        let set_slot = |node: &Redis, change: &[&str]| {
            node.command(&[&["CLUSTER", "SETSLOT", &slot], change].concat());
        };
        let [source, target] = [from, to].map(|node| node.command(&["CLUSTER", "MYID"]));
        set_slot(to, &["IMPORTING", &source]);
        set_slot(from, &["MIGRATING", &target]);
        loop {
            let keys = from.command(&["CLUSTER", "GETKEYSINSLOT", &slot, "100"]);
            if keys.is_empty() {
                break;
            }
            let port = to.port().to_string();
            let migrate = ["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
            from.command(&migrate.into_iter().chain(keys.lines()).collect::<Vec<_>>());
        }
        set_slot(to, &["NODE", &target]);
        set_slot(from, &["NODE", &target]);
        self.await_health();
    }

    /// Waits until the nodes that were not killed work, each shard has a master, and all agree.
    ///
    /// # Panics
    ///
    /// Panics if that takes a long time.
    pub fn await_health(&self) {
        wait(|| self.is_healthy()).expect("the cluster works");
    }

    fn is_healthy(&self) -> bool {
        let living = self.living();
        let Some(owners) = living.first().map(|first| self.owners(*first)) else {
            return false;
        };
        let works = |index: &usize| {
            let node = self.redis(*index);
            let replicates = || {
                let replication = node.command(&["INFO", "replication"]);
                replication.contains("master_link_status:up")
            };
            self.owners(*index) == owners
                && node
                    .command(&["CLUSTER", "INFO"])
                    .contains("cluster_state:ok")
                && (owners.contains_key(index) || replicates())
        };
        owners.len() == SHARDS
            && owners.keys().all(|owner| living.contains(owner))
            && living.iter().all(works)
    }

    fn master_index(&self, shard: usize) -> usize {
        let living = self.living();
        let owners = living.iter().map(|index| self.owners(*index));
        let mut masters = owners.flat_map(BTreeMap::into_keys);
        // Nodes notice late that a master was killed.
        let master = masters.find(|master| master % SHARDS == shard && living.contains(master));
        master.expect("the shard has a master")
    }

    /// Returns the masters that have slots and have not failed, with their slots, as a node knows them.
    fn owners(&self, index: usize) -> BTreeMap<usize, String> {
        let nodes = self.redis(index).command(&["CLUSTER", "NODES"]);
        let owner = |line: &str| {
            let fields: Vec<_> = line.split_whitespace().collect();
            let [_, address, flags, _, _, _, _, _, slots @ ..] = &fields[..] else {
                return None;
            };
            let owns = flags.contains("master") && !flags.contains("fail") && !slots.is_empty();
            let has_address = |node: &Node| address.starts_with(&node.address());
            let index = self.nodes.iter().position(has_address)?;
            owns.then(|| (index, slots.join(" ")))
        };
        nodes.lines().filter_map(owner).collect()
    }

    fn redis(&self, index: usize) -> &Redis {
        &self.nodes[index].redis
    }

    fn living(&self) -> Vec<usize> {
        let killed = self.killed();
        let indexes = 0..self.nodes.len();
        indexes.filter(|index| !killed.contains(index)).collect()
    }

    fn killed(&self) -> MutexGuard<'_, Vec<usize>> {
        self.killed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Node {
    fn prepare(builder: RedisBuilder) -> Result<Self, Missing> {
        let bus = Port::reserve()?;
        let redis = builder
            .setting("cluster-enabled", "yes")
            .setting("cluster-port", &bus.number().to_string())
            .setting("cluster-node-timeout", NODE_TIMEOUT)
            .setting("cluster-allow-replica-migration", "no")
            .setting("repl-diskless-sync-delay", "0")
            .prepare()?;
        Ok(Self { redis, bus })
    }

    /// Returns the address as the nodes of a cluster write it.
    fn address(&self) -> String {
        format!("{}@{}", self.redis.address(), self.bus.number())
    }
}

/// Returns the index of the other node of the shard.
fn sibling(index: usize) -> usize {
    (index + SHARDS) % (2 * SHARDS)
}

/// Returns whether ranges such as `0-99 200` contain a slot.
fn contains(slots: &str, slot: u16) -> bool {
    slots.split(' ').any(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let parse = |slot: &str| slot.parse::<u16>().ok();
        let range = parse(first).zip(parse(last));
        range.is_some_and(|(first, last)| (first..=last).contains(&slot))
    })
}

/// Waits for a condition, but not forever.
fn wait(condition: impl Fn() -> bool) -> Result<(), Missing> {
    let begun = Instant::now();
    while !condition() {
        if begun.elapsed() > PATIENCE {
            return Err(Missing::new("a cluster", "its nodes do not work"));
        }
        thread::sleep(PAUSE);
    }
    Ok(())
}
