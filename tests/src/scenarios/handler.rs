//! What an application may see and change of every message, and requests of its own.

use core::net::SocketAddr;

use offhook_core::event::{Event, Reply};
use offhook_core::handler::{MessageAction, RequestAction, SipAnswer, SipDraft, SipHandler};
use offhook_core::phone::RequestOptions;
use offhook_core::sim::Link;
use offhook_core::time::Duration;

use super::Scenario;
use crate::world::{Outcome, Telephone, World};

/// Names an account in what goes out, takes a mark out of what comes in, and answers COUNT.
#[derive(Default)]
struct Desk {
    count: u32,
}

impl SipHandler for Desk {
    fn methods(&self) -> Vec<&str> {
        vec!["COUNT"]
    }

    fn request_in(&mut self, request: &mut SipDraft, _: SocketAddr) -> RequestAction {
        if request.method().as_str() == "COUNT" {
            self.count += 1;
            return RequestAction::Answer(
                SipAnswer::new(200).header("X-Count", &self.count.to_string()),
            );
        }
        request.remove("X-Mark");
        RequestAction::Pass
    }

    fn request_out(&mut self, request: &mut SipDraft, _: SocketAddr) -> MessageAction {
        request.set("X-Account", "7001").set("X-Mark", "1");
        MessageAction::Pass
    }
}

pub(super) const SIP_HANDLER: Scenario = Scenario {
    name: "sip_handler",
    shows: "pyVoIP's sip_class: a SipHandler changes what goes out and comes in and answers a method of its own, through \
            an exchange and on a bad network: each message is shown once and sent again as changed",
    play: |seed| {
        let mut world = World::with_exchange(seed, &["alice", "bob"]);
        let lossy = Link { loss_permille: 100, delay: Duration::from_millis(5), ..Link::default() };
        world.sim.set_default_link(lossy);
        let (alice, bob) = (desk(&mut world, "alice")?, desk(&mut world, "bob")?);
        let (calling, called) = world.connect(&alice, &bob, "bob")?;
        let info = world.sim[bob.node].phone().info(called);
        let headers = info.ok_or_else(|| world.failure("no such call"))?.headers;
        let has = |name: &str| headers.iter().any(|(field, _)| field == name);
        world.expect(has("X-Account") && !has("X-Mark"), &format!("{headers:?}"))?;
        // Outside the call and within it; the same handler counts, and no repetition.
        let options = RequestOptions::default;
        world.act(&alice, |phone| phone.request("COUNT", "bob", options()))?;
        expect_count(&mut world, &alice, "1")?;
        world.act(&alice, |phone| phone.request_within(calling, "COUNT", options()))?;
        expect_count(&mut world, &alice, "2")?;
        world.disconnect((&alice, calling), (&bob, called))?;
        for telephone in [&alice, &bob] {
            let refused = world.sim[telephone.node].phone().counters().changes_refused;
            world.expect(refused == 0, &format!("{refused} changes were refused"))?;
        }
        Ok(world)
    },
};

fn desk(world: &mut World, user: &str) -> Outcome<Telephone> {
    let telephone = world.add(world.parameters(user).sip_class(Desk::default))?;
    world.start(&telephone)?;
    Ok(telephone)
}

fn expect_count(world: &mut World, telephone: &Telephone, count: &str) -> Outcome {
    let limit = Duration::from_secs(33);
    let reply = world.wait(telephone, "answer", limit, |event| match event {
        Event::Response { reply, .. } => Some(reply.clone().ok()),
        _ => None,
    })?;
    let counted = |reply: &Reply| reply.headers.iter().any(|(n, v)| n == "X-Count" && v == count);
    world.expect(reply.as_ref().is_some_and(counted), &format!("{reply:?}, not {count}"))
}
