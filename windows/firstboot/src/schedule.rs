//! Which task is next, and when the machine restarts: bounded in every direction.

use std::collections::BTreeSet;

use crate::state::{Record, State, Status, one_line};
use crate::task::{Reboot, Retry, Task};

/// Most restarts that the service asks for.
pub const MAX_RESTARTS: u32 = 8;
/// Most starts of the service, whoever restarted the machine.
pub const MAX_BOOTS: u32 = 40;

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Success {
        /// Whether Windows needs a restart.
        restart: bool,
        /// One line for the record.
        message: String,
    },
    /// Not done.
    Failure {
        /// One line for the record.
        message: String,
    },
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Try the task with this index.
    Attempt(usize),
    /// Wait a moment, then go through the tasks again.
    Pause,
    /// Restart the machine.
    Restart,
    /// Nothing is left to do.
    Finished,
}

/// A task's file as it was found.
#[derive(Debug)]
pub struct Found {
    /// Its name.
    pub file: String,
    /// What its content is known by.
    pub digest: u64,
    /// The task, or why it is refused.
    pub task: Result<Task, String>,
}

/// The tasks of this boot with their records.
#[derive(Debug)]
pub struct Schedule {
    /// What is remembered.
    pub state: State,
    found: Vec<Found>,
    tried: BTreeSet<usize>,
}

impl Schedule {
    /// At the start of the service: counts it, and judges what the last one has left.
    pub fn begin(mut state: State, mut found: Vec<Found>) -> Self {
        found.sort_by(|a, b| a.file.cmp(&b.file));
        let mut old = std::mem::take(&mut state.records);
        for file in &found {
            let known = old
                .iter()
                .position(|record| record.file == file.file && record.digest == file.digest);
            let record = match known {
                Some(index) => old.swap_remove(index),
                None => Record {
                    file: file.file.clone(),
                    digest: file.digest,
                    status: Status::Pending,
                    attempts: 0,
                    not_before: 0,
                    message: String::new(),
                },
            };
            state.records.push(record);
        }
        state.boots = state.boots.saturating_add(1);
        state.restart_wanted = false;
        let exhausted = state.boots > MAX_BOOTS;
        for (record, found) in state.records.iter_mut().zip(&found) {
            match &found.task {
                Err(reason) => {
                    record.status = Status::Refused;
                    record.message = one_line(reason);
                }
                Ok(task) => {
                    if record.status == Status::Running {
                        record.message = "the attempt was cut short".into();
                        fail(record, task, state.boots.saturating_sub(1));
                    }
                    if exhausted && record.status == Status::Pending {
                        record.status = Status::Failed;
                        record.message = format!("given up after {MAX_BOOTS} starts");
                    }
                }
            }
        }
        Self {
            state,
            found,
            tried: BTreeSet::new(),
        }
    }

    /// What to do now.
    pub fn next(&mut self) -> Step {
        let restarts_left = self.state.restarts < MAX_RESTARTS;
        let boots = self.state.boots;
        let due = |record: &Record| record.not_before <= boots || !restarts_left;
        let pending = |(index, record): (usize, &Record)| {
            (record.status == Status::Pending).then(|| (index, due(record)))
        };
        let pending: Vec<(usize, bool)> = self
            .state
            .records
            .iter()
            .enumerate()
            .filter_map(pending)
            .collect();
        let untried = pending
            .iter()
            .find(|(index, due)| *due && !self.tried.contains(index));
        if let Some((index, _)) = untried {
            self.tried.insert(*index);
            return Step::Attempt(*index);
        }
        let waiting = pending.iter().any(|(_, due)| !due);
        if restarts_left && (self.state.restart_wanted || waiting) {
            return Step::Restart;
        }
        if pending.is_empty() {
            return Step::Finished;
        }
        self.tried.clear();
        Step::Pause
    }

    /// The task with this index.
    pub fn task(&self, index: usize) -> Option<(&str, &Task)> {
        let found = self.found.get(index)?;
        Some((&found.file, found.task.as_ref().ok()?))
    }

    /// Tasks that are not finished.
    pub fn unfinished(&self) -> impl Iterator<Item = &Task> {
        self.found
            .iter()
            .zip(&self.state.records)
            .filter(|(_, record)| record.status == Status::Pending)
            .filter_map(|(found, _)| found.task.as_ref().ok())
    }

    /// An attempt begins: to be recorded before it does.
    pub fn start(&mut self, index: usize) {
        if let Some(record) = self.state.records.get_mut(index) {
            record.status = Status::Running;
            record.attempts = record.attempts.saturating_add(1);
        }
    }

    /// An attempt has ended.
    pub fn end(&mut self, index: usize, outcome: Outcome) {
        let task = self.found.get(index).map(|found| found.task.as_ref());
        let (record, task) = match (self.state.records.get_mut(index), task) {
            (Some(record), Some(Ok(task))) => (record, task),
            _ => return,
        };
        match outcome {
            Outcome::Success { restart, message } => {
                record.status = Status::Done;
                record.message = one_line(&message);
                self.state.restart_wanted |= match task.reboot {
                    Reboot::IfNeeded => restart,
                    Reboot::Never => false,
                    Reboot::Always => true,
                };
            }
            Outcome::Failure { message } => {
                record.message = one_line(&message);
                fail(record, task, self.state.boots);
            }
        }
    }

    /// A restart is about to be asked for.
    pub fn restarting(&mut self) {
        self.state.restarts += 1;
    }

    /// It did not happen: the tasks go on without.
    pub fn no_restart(&mut self) {
        self.state.restarts = MAX_RESTARTS;
    }

    /// Whether every task was done.
    pub fn all_done(&self) -> bool {
        self.state
            .records
            .iter()
            .all(|record| record.status == Status::Done)
    }
}

fn fail(record: &mut Record, task: &Task, boot: u32) {
    if record.attempts >= task.attempts {
        record.status = Status::Failed;
        return;
    }
    record.status = Status::Pending;
    if task.retry == Retry::Reboot {
        record.not_before = boot.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(file: &str, lines: &str) -> Found {
        let content = format!("refit-task 1\nkind wait-pnp\n{lines}");
        Found {
            file: file.into(),
            digest: crate::task::digest(content.as_bytes()),
            task: Task::parse(file, content.as_bytes()),
        }
    }

    fn success(restart: bool) -> Outcome {
        Outcome::Success {
            restart,
            message: "ok".into(),
        }
    }

    fn failure() -> Outcome {
        Outcome::Failure {
            message: "no".into(),
        }
    }

    /// Runs boots until it is finished, each attempt by `attempt`; `None` is a power loss. Gives what
    /// happened, with `|` for the end of each boot.
    fn play(
        tasks: &dyn Fn() -> Vec<Found>,
        attempt: &mut dyn FnMut(&str) -> Option<Outcome>,
    ) -> (String, State) {
        let mut state = State::default();
        let mut story = String::new();
        for _ in 0..1000 {
            // What a boot knows is what the file says.
            let mut schedule = Schedule::begin(state.to_text().parse().unwrap(), tasks());
            state = schedule.state.clone();
            for _ in 0..1000 {
                match schedule.next() {
                    Step::Attempt(index) => {
                        let file = schedule.task(index).unwrap().0.to_owned();
                        story += &file[3..4];
                        schedule.start(index);
                        state = schedule.state.clone();
                        match attempt(&file) {
                            None => break,
                            Some(outcome) => schedule.end(index, outcome),
                        }
                        state = schedule.state.clone();
                    }
                    Step::Pause => story += ".",
                    Step::Restart => {
                        schedule.restarting();
                        state = schedule.state.clone();
                        break;
                    }
                    Step::Finished => return (story, state),
                }
            }
            story += "|";
        }
        panic!("never finished: {story}");
    }

    fn statuses(state: &State) -> Vec<Status> {
        state.records.iter().map(|record| record.status).collect()
    }

    #[test]
    fn in_the_order_of_names() {
        let tasks = || vec![found("50-b.task", ""), found("20-a.task", "")];
        let (story, state) = play(&tasks, &mut |_| Some(success(false)));
        assert_eq!(story, "ab");
        assert_eq!(statuses(&state), [Status::Done; 2]);
    }

    #[test]
    fn a_failing_task_is_tried_again_after_the_others_and_blocks_nobody() {
        let tasks = || vec![found("20-a.task", "attempts 3"), found("30-b.task", "")];
        let (story, state) = play(&tasks, &mut |file| {
            Some(if file.contains("-a") {
                failure()
            } else {
                success(false)
            })
        });
        assert_eq!(story, "ab.a.a");
        assert_eq!(statuses(&state), [Status::Failed, Status::Done]);
        assert_eq!(state.records[0].message, "no");
    }

    #[test]
    fn one_restart_serves_all_that_ask() {
        let tasks = || {
            vec![
                found("20-a.task", ""),
                found("30-b.task", "reboot always"),
                found("40-c.task", "reboot never"),
                found("50-d.task", ""),
            ]
        };
        let (story, state) = play(&tasks, &mut |_| Some(success(true)));
        assert_eq!(story, "abcd|");
        assert_eq!((state.boots, state.restarts), (2, 1));
        let tasks = || vec![found("40-c.task", "reboot never")];
        assert_eq!(play(&tasks, &mut |_| Some(success(true))).0, "c");
    }

    #[test]
    fn a_retry_after_a_restart() {
        let tasks = || {
            vec![
                found("20-a.task", "retry reboot\nattempts 3"),
                found("30-b.task", ""),
            ]
        };
        let (story, state) = play(&tasks, &mut |file| {
            Some(if file.contains("-a") {
                failure()
            } else {
                success(false)
            })
        });
        assert_eq!(story, "ab|a|a");
        assert_eq!(state.restarts, 2);
    }

    #[test]
    fn a_power_loss_in_every_attempt_ends_all_the_same() {
        let tasks = || vec![found("20-a.task", "attempts 2"), found("30-b.task", "")];
        let (story, state) = play(&tasks, &mut |file| {
            (!file.contains("-a")).then(|| success(false))
        });
        assert_eq!(story, "a|a|b");
        assert_eq!(statuses(&state), [Status::Failed, Status::Done]);
        assert_eq!(state.records[0].message, "the attempt was cut short");
    }

    #[test]
    fn restarts_are_bounded() {
        let tasks = || {
            (10..30)
                .map(|n| found(&format!("{n}-a.task"), "retry reboot\nattempts 10"))
                .collect()
        };
        let mut attempts = 0;
        let (_, state) = play(&tasks, &mut |_| {
            attempts += 1;
            Some(failure())
        });
        assert_eq!(state.restarts, MAX_RESTARTS);
        assert_eq!(attempts, 200, "the attempts left happen without a restart");
        assert!(
            statuses(&state)
                .iter()
                .all(|status| *status == Status::Failed)
        );
    }

    #[test]
    fn somebody_elses_restarts_are_bounded() {
        let tasks = || vec![found("20-a.task", "")];
        let mut state = State::default();
        for _ in 0..MAX_BOOTS {
            state = Schedule::begin(state, tasks()).state;
            assert_eq!(statuses(&state), [Status::Pending]);
        }
        let mut schedule = Schedule::begin(state, tasks());
        assert_eq!(statuses(&schedule.state), [Status::Failed]);
        assert_eq!(schedule.next(), Step::Finished);
    }

    #[test]
    fn refused_tasks_are_reported_and_nothing_more() {
        let tasks = || vec![found("20-a.task", "nonsense 1"), found("30-b.task", "")];
        let (story, state) = play(&tasks, &mut |_| Some(success(false)));
        assert_eq!(story, "b");
        assert_eq!(statuses(&state), [Status::Refused, Status::Done]);
        assert!(state.records[0].message.contains("nonsense"));
    }

    #[test]
    fn a_changed_task_is_a_new_one() {
        let (_, state) = play(&|| vec![found("20-a.task", "attempts 1")], &mut |_| {
            Some(failure())
        });
        let schedule = Schedule::begin(state.clone(), vec![found("20-a.task", "attempts 1")]);
        assert_eq!(statuses(&schedule.state), [Status::Failed]);
        let mut schedule = Schedule::begin(state, vec![found("20-a.task", "attempts 2")]);
        assert_eq!(schedule.next(), Step::Attempt(0));
        assert!(!schedule.all_done());
    }

    #[test]
    fn without_restarts_it_goes_on() {
        let mut schedule = Schedule::begin(
            State::default(),
            vec![
                found("20-a.task", "reboot always"),
                found("30-b.task", "retry reboot"),
            ],
        );
        assert_eq!(schedule.next(), Step::Attempt(0));
        schedule.start(0);
        schedule.end(0, success(false));
        assert_eq!(schedule.next(), Step::Attempt(1));
        schedule.start(1);
        schedule.end(1, failure());
        assert_eq!(schedule.next(), Step::Restart);
        schedule.no_restart();
        assert_eq!(schedule.next(), Step::Pause);
        assert_eq!(schedule.next(), Step::Attempt(1));
        schedule.end(1, success(true));
        assert_eq!(schedule.next(), Step::Finished);
        assert!(schedule.all_done());
    }
}
