//! What this machine is doing. Asking it takes a moment, in which nothing else can be done.

use sysinfo::{Networks, Pid, ProcessesToUpdate, System, get_current_pid};

use crate::metric::Metric;

/// How far its sparklines look back, in seconds.
const PAST: usize = 60;

/// This machine, and this program on it.
pub(crate) struct Machine {
    system: System,
    networks: Networks,
    own: Option<Pid>,
    /// Per cent of all cores.
    pub(crate) cpu: Metric,
    /// Bytes in use.
    pub(crate) memory: Metric,
    /// Bytes a second, in and out, loopback included: where a demonstration's traffic is.
    pub(crate) network: Metric,
    /// Bytes of this process that are resident.
    pub(crate) process: Metric,
}

impl Machine {
    /// A machine that has been looked at once.
    ///
    /// # Errors
    /// The system does not tell.
    pub(crate) fn new() -> Result<Self, sysinfo::Error> {
        let mut system = System::new()?;
        system.refresh_memory();
        let memory = Metric::new(PAST).of(system.total_memory() as f64);
        let mut machine = Self {
            system,
            networks: Networks::new_with_refreshed_list()?,
            own: get_current_pid().ok(),
            cpu: Metric::new(PAST).of(100.0),
            memory,
            network: Metric::new(PAST),
            process: Metric::new(PAST),
        };
        machine.look();
        Ok(machine)
    }

    /// Looks again; a second after the last time.
    pub(crate) fn look(&mut self) {
        self.system.refresh_cpu_usage();
        self.system.refresh_memory();
        self.networks.refresh(true);
        self.cpu.push(f64::from(self.system.global_cpu_usage()));
        self.memory.push(self.system.used_memory() as f64);
        let bytes: u64 = self.networks.values().map(|one| one.received() + one.transmitted()).sum();
        self.network.push(bytes as f64);
        if let Some(own) = self.own {
            self.system.refresh_processes(ProcessesToUpdate::Some(&[own]), true);
            let resident = self.system.process(own).map_or(0, sysinfo::Process::memory);
            self.process.push(resident as f64);
        }
    }
}
