//! One cache node: the engine behind gRPC, with an admin port beside it.
//!
//! | module | what |
//! | --- | --- |
//! | [`settings`] | flags over environment over file over defaults, checked at start |
//! | [`serve`] | the life of the process: bind, announce, serve, drain, exit |
//! | [`lifecycle`] | starting, serving, leaving, draining: who may still be served |
//! | [`node`] | what every RPC shares: engine, clocks, token, metrics |
//! | [`grpc`] | the services; `grpc/pipeline` is the fast path |
//! | [`buffers`] | what connections and batches hold, counted against the memory limit |
//! | [`connections`] | connections as they are accepted |
//! | [`convert`] | between messages of the contract and the engine's types |
//! | [`admin`] | /livez, /readyz, /metrics, /contract |
//! | [`once`] | operations with an id: what is stored for their repeats |
//! | [`hand_over`] | moving the node to another process, or from one |
//! | [`snapshot`] | the state of a node in a file, from one process to the next |
//! | [`store`], [`keeper`] | the data directory: namespace records, version ceiling; whose it is now |
//! | [`logging`], [`telemetry`], [`metrics`] | what it says about itself |

pub mod admin;
pub mod buffers;
pub mod clock;
pub mod connections;
pub mod convert;
pub mod exit;
pub mod grpc;
pub mod hand_over;
pub mod healthcheck;
pub mod housekeeping;
pub mod keeper;
pub mod lifecycle;
pub mod logging;
pub mod metrics;
pub mod node;
pub mod once;
pub mod origin;
pub mod peers;
pub mod serve;
pub mod settings;
pub mod signals;
pub mod snapshot;
pub mod store;
pub mod telemetry;

use clap::Parser;
use std::process::ExitCode;

/// Reads the settings and runs the command.
#[must_use]
pub fn run() -> ExitCode {
    bimetal_engine::fix_mapping_threshold();
    let arguments = settings::Arguments::parse();
    let outcome = match arguments.command {
        Some(settings::Command::Healthcheck(ref check)) => healthcheck::run(check, &arguments.flags),
        None => settings::Settings::load(arguments.flags).and_then(serve::run),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            logging::report(&failure);
            ExitCode::from(failure.code())
        }
    }
}
