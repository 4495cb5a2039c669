use std::{fmt::Display, io::Write, ops::Range};

use redis::Cmd;

use crate::script::Script;

/// A run of a script: its keys, all of which are declared, and its arguments.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    script: &'static Script,
    keys: usize,
    /// The keys, the clock and the other arguments, one after another.
    data: Vec<u8>,
    /// The end of each.
    ends: Vec<usize>,
}

impl Call {
    /// Creates a call; the clock is the first argument of every script.
    pub(crate) fn new(
        script: &'static Script,
        keys: impl IntoIterator<Item = impl AsRef<str>>,
        clock: impl Display,
    ) -> Self {
        let mut call = Self {
            script,
            keys: 0,
            data: Vec::with_capacity(1024),
            ends: Vec::with_capacity(32),
        };
        for key in keys {
            call = call.arg(key.as_ref());
            call.keys += 1;
        }
        call.number(clock)
    }

    pub(crate) fn arg(mut self, argument: impl AsRef<[u8]>) -> Self {
        self.data.extend_from_slice(argument.as_ref());
        self.ends.push(self.data.len());
        self
    }

    pub(crate) fn number(mut self, argument: impl Display) -> Self {
        // Writing to memory never fails.
        let _ = write!(self.data, "{argument}");
        self.ends.push(self.data.len());
        self
    }

    /// Adds a mark: an empty argument is false.
    pub(crate) fn mark(self, argument: bool) -> Self {
        self.arg(if argument { "1" } else { "" })
    }

    /// Adds a number, or an empty argument.
    pub(crate) fn optional(self, argument: Option<impl Display>) -> Self {
        match argument {
            Some(argument) => self.number(argument),
            None => self.arg(""),
        }
    }

    pub(crate) const fn name(&self) -> &'static str {
        self.script.name
    }

    /// Returns whether the script is that of the other call.
    pub(crate) fn is_of(&self, other: &Self) -> bool {
        std::ptr::eq(self.script, other.script)
    }

    pub(crate) fn first_key(&self) -> &[u8] {
        &self.data[..self.ends[0]]
    }

    /// Returns the bytes of the keys and the arguments.
    pub(crate) const fn bytes(&self) -> usize {
        self.data.len()
    }

    /// Returns a number that is the same for all calls with the same first key.
    pub(crate) fn spread(&self) -> usize {
        let last = self.first_key().iter().rev().take(2);
        last.map(|byte| usize::from(*byte)).sum()
    }

    /// Returns the command that runs the script by its hash, or by its text, for all of these calls
    /// of it. More than one are calls that change jobs.
    pub(super) fn command(calls: &[Self], by_hash: bool) -> Cmd {
        let (script, first) = (calls[0].script, &calls[0]);
        let count = calls.iter().map(|call| call.ends.len() + 1).sum::<usize>();
        let bytes = calls.iter().map(Self::bytes).sum::<usize>();
        let mut command = Cmd::with_capacity(count + 3, bytes + 8 * calls.len() + 64);
        command.arg(if by_hash { "EVALSHA" } else { "EVAL" });
        command.arg(if by_hash {
            &script.hash
        } else {
            &script.source
        });
        command.arg(calls.iter().map(|call| call.keys).sum::<usize>());
        for call in calls {
            call.parts(0..call.keys, &mut command);
        }
        first.parts(first.keys..first.keys + 1, &mut command);
        for call in calls {
            let rest = call.keys + 1..call.ends.len();
            if script.counts_arguments {
                command.arg(rest.len());
            }
            call.parts(rest, &mut command);
        }
        command
    }

    fn parts(&self, places: Range<usize>, command: &mut Cmd) {
        for place in places {
            let begin = place.checked_sub(1).map_or(0, |before| self.ends[before]);
            command.arg(&self.data[begin..self.ends[place]]);
        }
    }
}
