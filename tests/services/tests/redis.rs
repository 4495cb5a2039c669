//! Private Redis and Valkey servers.

use std::time::{SystemTime, UNIX_EPOCH};

use test_services::{Missing, Redis, available};

/// Starts both servers, if they are available.
fn servers() -> impl Iterator<Item = Redis> {
    let servers: [Result<Redis, Missing>; 2] = [Redis::start(), Redis::valkey()];
    servers.into_iter().filter_map(available)
}

#[test]
fn restarts_and_kills_keep_what_was_answered() {
    for server in servers() {
        assert_eq!(server.command(&["SET", "a", "1"]), "OK");
        server.kill();
        server.start_again();
        assert_eq!(server.command(&["INCR", "a"]), "2");
        server.restart();
        assert_eq!(server.command(&["GET", "a"]), "2");
    }
}

#[test]
fn settings_are_those_that_stores_demand() {
    for server in servers() {
        assert_eq!(
            server.command(&["CONFIG", "GET", "appendfsync"]),
            "appendfsync\nalways"
        );
        assert_eq!(
            server.command(&["CONFIG", "GET", "maxmemory-policy"]),
            "maxmemory-policy\nnoeviction"
        );
    }
    let other = Redis::builder().setting("appendfsync", "everysec").start();
    let Some(other) = available(other) else {
        return;
    };
    assert_eq!(
        other.command(&["CONFIG", "GET", "appendfsync"]),
        "appendfsync\neverysec"
    );
}

#[test]
fn the_time_of_a_server_is_shifted_while_it_runs_and_stays_so_when_it_starts_again() {
    let servers = [
        Redis::builder().shiftable().start(),
        Redis::builder().valkey().shiftable().start(),
    ];
    for server in servers.into_iter().filter_map(available) {
        let ahead = || {
            let time = server.command(&["TIME"]);
            let seconds: i64 = time.lines().next().unwrap().parse().unwrap();
            let day = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            seconds - i64::try_from(day.as_secs()).unwrap()
        };
        for seconds in [0, 3600, -3600] {
            server.shift(seconds);
            assert!((ahead() - seconds).abs() < 60, "{} s", ahead());
        }
        server.kill();
        server.start_again();
        assert!((ahead() + 3600).abs() < 60, "{} s", ahead());
    }
}
