//! A push, checked as far as it can be without the office's state: readable, chained, signed, texts under their
//! commitments. This runs beside the writer, which then has little left to do.

use prost::Message;
use renaksi_domain::ids::{Origin, PersonId};
use renaksi_domain::people::People;
use renaksi_domain::time::Timestamp;
use renaksi_domain::{Envelope, Rejection};
use renaksi_proto::agreed::{ASIDE_BYTES_MAX, COMMAND_BYTES_MAX};
use renaksi_proto::chain::{self, ChainHash};
use renaksi_proto::convert::{DecodeError, TextMask, decode_command, unreadable};
use renaksi_proto::{log, wire};
use uuid::Uuid;

use crate::status::Fault;

/// Commands of one push.
pub const COMMANDS_MAX: usize = 10_000;

/// A push that is what its device signed.
#[derive(Debug)]
pub struct Push {
    pub origin: Origin,
    pub first_sequence: u32,
    pub previous_chain: ChainHash,
    pub commands: Vec<Command>,
    pub signature: Vec<u8>,
    /// Device clock minus server clock.
    pub skew_ms: i64,
    /// Who brought it, when it was not the author.
    pub carrier: Option<PersonId>,
}

/// One command of a push.
#[derive(Debug)]
pub struct Command {
    pub leaf: Vec<u8>,
    pub aside: Vec<u8>,
    pub envelope: Envelope,
    /// The chain after it.
    pub chain: ChainHash,
}

impl Push {
    /// The sequence after the last command.
    pub fn end(&self) -> u32 {
        self.first_sequence + u32::try_from(self.commands.len()).unwrap_or(u32::MAX)
    }
}

/// Checks a push. `carrier` is the owner of the device that made the call.
pub fn check(
    request: wire::PushRequest,
    office: Uuid,
    people: &People,
    carrier: PersonId,
    now: Timestamp,
) -> Result<Push, Fault> {
    let origin = Origin(request.origin);
    let incarnation = people.incarnation(origin).ok_or_else(|| Fault::invalid("UNKNOWN_ORIGIN"))?;
    let device = people.device(incarnation.device).ok_or_else(|| Fault::invalid("UNKNOWN_ORIGIN"))?;
    if request.commands.is_empty() || request.commands.len() > COMMANDS_MAX || request.first_sequence == 0 {
        return Err(Fault::invalid("PUSH_MALFORMED"));
    }
    let previous_chain: ChainHash =
        request.previous_chain.try_into().map_err(|_| Fault::invalid("PUSH_MALFORMED"))?;
    let mut head = previous_chain;
    let mut commands = Vec::with_capacity(request.commands.len());
    for (sequence, stored) in (request.first_sequence..=u32::MAX).zip(request.commands) {
        head = chain::link(&head, &stored.leaf);
        let envelope = read(&stored, origin, sequence, device.owner)?;
        // Nothing says what should lie beside bytes that are no command, so nothing does.
        let readable = envelope.command != renaksi_domain::Command::Unreadable;
        let aside = if readable { stored.aside } else { Vec::new() };
        commands.push(Command { leaf: stored.leaf, aside, envelope, chain: head });
    }
    let last = request.first_sequence.saturating_add(u32::try_from(commands.len()).unwrap_or(u32::MAX) - 1);
    let signature = request.chain_signature;
    if !chain::verify_push(&device.key, &signature, office, incarnation.uuid, last, &head) {
        return Err(Fault::unauthenticated("PUSH_SIGNATURE_INVALID"));
    }
    Ok(Push {
        origin,
        first_sequence: request.first_sequence,
        previous_chain,
        commands,
        signature,
        skew_ms: request.device_time_us.saturating_sub(now.0) / 1_000,
        carrier: (carrier != device.owner).then_some(carrier),
    })
}

fn read(stored: &wire::Stored, origin: Origin, sequence: u32, author: PersonId) -> Result<Envelope, Fault> {
    let about = |code| Fault::invalid(code).with("sequence", sequence);
    if stored.leaf.len() > COMMAND_BYTES_MAX || stored.aside.len() > ASIDE_BYTES_MAX {
        return Err(about("COMMAND_TOO_LARGE"));
    }
    match decode_command(&stored.leaf, origin, sequence, author) {
        Ok((envelope, commitment)) => match texts_match(&stored.leaf, &commitment, &stored.aside) {
            true => Ok(envelope),
            false => Err(about("TEXTS_DIFFER")),
        },
        Err(DecodeError::Newer) => Err(Fault::precondition("SERVER_TOO_OLD").with("sequence", sequence)),
        // Refused and kept, so that its author is answered and nothing behind it waits.
        Err(_) => Ok(unreadable(origin, sequence, author)),
    }
}

/// True when beside the leaf lies exactly what it committed to, in the one form that these texts have, and when it says
/// which texts those are.
fn texts_match(leaf: &[u8], commitment: &[u8], aside: &[u8]) -> bool {
    if commitment.is_empty() {
        return aside.is_empty();
    }
    let claimed = log::Command::decode(leaf).map(|command| TextMask(command.texts));
    let one_form = log::Aside::decode(aside).is_ok_and(|decoded| decoded.encode_to_vec() == aside);
    let texts = chain::open_aside(commitment, aside);
    one_form && texts.is_some_and(|texts| claimed == Ok(TextMask::of(&texts)))
}

/// A receipt as it is sent.
pub fn receipt(sequence: u32, record: &renaksi_domain::Record, duplicate: bool) -> wire::Receipt {
    use renaksi_domain::Outcome;
    let cause = |cause: &Rejection| Some::<log::Rejection>(renaksi_proto::convert::rejection_to(cause));
    let (verdict, cause) = match &record.outcome {
        Outcome::Recorded(_) => (wire::Verdict::Recorded, None),
        Outcome::Held(why) => (wire::Verdict::Held, cause(why)),
        Outcome::Refused(why) => (wire::Verdict::Refused, cause(why)),
    };
    wire::Receipt { sequence, position: record.position, verdict: verdict.into(), duplicate, cause }
}
