//! The order in which the machines of a collection are started (DSP0243 section 9.8, `StartupSection`).

use serde::Serialize;

use super::{Collection, Content, Envelope, Startup};

/// When one machine of a collection is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Start {
    /// `ovf:id` of the machine.
    pub system: String,
    /// Machines of one step start together, after those of lower steps; the first is 1. None if the descriptor gives
    /// it no order: any time.
    pub step: Option<u32>,
    /// Whether it is started at all with the collection.
    pub start: bool,
    /// Seconds to wait after it was started, before the next step.
    pub delay: u32,
    /// Whether to go on earlier, as soon as its guest says that it is up.
    pub waiting_for_guest: bool,
}

/// Machines that start together.
type Step = Vec<Start>;

impl Envelope {
    /// The start order of all machines, those without an order at the end; empty for a single machine outside of
    /// collections. A collection within another takes as many steps as it has, in its own place.
    #[must_use]
    pub fn start_order(&self) -> Vec<Start> {
        let Some(Content::Collection(collection)) = &self.content else {
            return Vec::new();
        };
        let (steps, free) = steps(collection);
        let ordered = (1..).zip(steps).flat_map(|(number, step)| {
            step.into_iter().map(move |one| Start {
                step: Some(number),
                ..one
            })
        });
        ordered.chain(free).collect()
    }
}

/// The steps of a collection, and its machines without an order.
fn steps(collection: &Collection) -> (Vec<Step>, Step) {
    let item = |member: &Content| {
        let id = member.id();
        let found = collection.startup.iter().find(|item| item.id == id);
        found.cloned().unwrap_or_else(|| Startup {
            start_action: "powerOn".to_owned(),
            ..Startup::default()
        })
    };
    let mut members: Vec<(Startup, &Content)> = collection
        .members
        .iter()
        .map(|member| (item(member), member))
        .collect();
    // A collection without an order follows, because it may have one inside. The sort is stable.
    members.sort_by_key(|(item, _)| (item.order == 0, item.order));
    let mut all: Vec<Step> = Vec::new();
    let mut free = Step::new();
    for group in members.chunk_by(|(one, _), (other, _)| one.order == other.order) {
        // Members of one order start together, a collection among them with its own first step.
        let mut together: Vec<Step> = Vec::new();
        for (item, member) in group {
            match member {
                Content::System(system) => {
                    let start = start(&system.id, item);
                    if item.order == 0 {
                        free.push(start);
                    } else {
                        add(&mut together, 0, [start]);
                    }
                }
                Content::Collection(inner) => {
                    let (mut inner, others) = steps(inner);
                    add(&mut inner, 0, others);
                    let last = inner.last_mut().into_iter().flatten();
                    last.for_each(|one| one.delay = one.delay.max(item.start_delay));
                    for (number, step) in inner.into_iter().enumerate() {
                        add(&mut together, number, step);
                    }
                }
            }
        }
        all.extend(together);
    }
    (all, free)
}

fn add(steps: &mut Vec<Step>, number: usize, more: impl IntoIterator<Item = Start>) {
    let mut more = more.into_iter().peekable();
    if more.peek().is_none() {
        return;
    }
    if steps.len() <= number {
        steps.resize(number + 1, Step::new());
    }
    if let Some(step) = steps.get_mut(number) {
        step.extend(more);
    }
}

fn start(id: &str, item: &Startup) -> Start {
    Start {
        system: id.to_owned(),
        step: None,
        start: item.start_action != "none",
        delay: item.start_delay,
        waiting_for_guest: item.waiting_for_guest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(content: &str) -> Vec<(String, Option<u32>, bool, u32)> {
        let text = format!(
            "<Envelope xmlns='http://schemas.dmtf.org/ovf/envelope/1'>{content}</Envelope>"
        );
        let envelope = Envelope::parse(&text).unwrap();
        envelope
            .start_order()
            .into_iter()
            .map(|one| (one.system, one.step, one.start, one.delay))
            .collect()
    }

    #[test]
    fn steps_follow_the_order_and_inner_collections_have_their_own() {
        let found = order(
            "<VirtualSystemCollection id='all'>
             <StartupSection><Info/>
               <Item id='web' order='30' startDelay='5'/><Item id='tier' order='10' startDelay='60'/>
               <Item id='log' order='10'/><Item id='tool' order='40' startAction='none'/>
             </StartupSection>
             <VirtualSystem id='free'/><VirtualSystem id='web'/><VirtualSystem id='log'/><VirtualSystem id='tool'/>
             <VirtualSystemCollection id='tier'>
               <StartupSection><Info/><Item id='db' order='2'/><Item id='key' order='1' startDelay='9'/></StartupSection>
               <VirtualSystem id='db'/><VirtualSystem id='key'/>
             </VirtualSystemCollection></VirtualSystemCollection>",
        );
        let expected = [
            ("log", Some(1), true, 0),
            ("key", Some(1), true, 9),
            ("db", Some(2), true, 60),
            ("web", Some(3), true, 5),
            ("tool", Some(4), false, 0),
            ("free", None, true, 0),
        ];
        assert_eq!(
            found,
            expected.map(|(id, step, start, delay)| (id.to_owned(), step, start, delay))
        );
        assert_eq!(order("<VirtualSystem id='one'/>"), []);
    }
}
