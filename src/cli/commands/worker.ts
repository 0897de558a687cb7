/** `lockstep worker`: one replica. Started by the launcher, by pm2, or by hand on another host. */

import { resolvedConfigSchema, type ResolvedConfig } from '../../shared/config/run-config.js';
import { chooseGpus } from '../options/resolve.js';
import { ConfigError, PeerLostError } from '../../shared/errors.js';
import { ThreadCommunicator } from '../../worker/communicator/thread-communicator.js';
import { findMemoryAddon } from '../../worker/engine/cache.js';
import type { EngineDevice } from '../../worker/engine/environment.js';
import { runSession } from '../../worker/session.js';
import { backOff } from '../../launcher/back-off.js';
import { leaveSignalsToLauncher, onLauncherGone } from '../../launcher/child-process.js';
import { currentEngineHost, definitionCache, host, instanceNumber, machine } from '../options/environment.js';
import { describeError, exitStatus } from '../exit.js';
import { loadWorkerEngine } from '../load-worker-engine.js';
import { workerKeys } from '../security/security.js';
import { faultOptionsOf, type FaultFlags } from '../options/fault-options.js';
import type { SecurityFlags } from '../options/security-options.js';

/** Less than pm2's kill_timeout in ecosystem.config.js. */
const leaveMs = 12_000;

export interface WorkerFlags extends SecurityFlags, FaultFlags {
  readonly coordinator: string;
  readonly device?: string;
  readonly threads?: string;
  /** Set by the launcher: the same for the worker that replaces this one. */
  readonly slot?: string;
  /** Set by the launcher. Not to be guessed from an IPC channel: pm2 opens one as well. */
  readonly launched?: boolean;
}

/** @throws ConfigError */
export async function work(flags: WorkerFlags): Promise<number> {
  const { coordinator, device, launched = false } = flags;
  const threads = threadsOf(flags.threads);
  const keys = workerKeys(coordinator, flags);
  const faults = faultOptionsOf(flags);
  if (!launched) await backOff();
  let welcomed = false;
  const communicator = new ThreadCommunicator({
    coordinator,
    memoryAddon: findMemoryAddon(currentEngineHost()),
    keys,
    linkFaults: faults.requests !== undefined,
  });
  if (launched) {
    leaveSignalsToLauncher();
    onLauncherGone(() => communicator.abandon(new PeerLostError('Launcher lost: its process ended.')));
  } else {
    const leave = (): void => {
      communicator.send({ type: 'leave' });
      // The coordinator lets it go, at once unless the state has to be saved first. One that has none yet just goes.
      const stopped = (): void => communicator.abandon(new PeerLostError('This worker was told to stop.'));
      if (welcomed) setTimeout(stopped, leaveMs).unref();
      else stopped();
    };
    process.once('SIGINT', leave);
    process.once('SIGTERM', leave);
  }
  const slot = flags.slot ?? String(instanceNumber());
  const warn = (message: string): void => {
    // All of a launcher's workers would say the same.
    if (!launched || slot === '0') process.stderr.write(`Warning: ${message}\n`);
  };
  try {
    await runSession({
      communicator,
      host,
      slot,
      definitionCache: definitionCache(),
      faults: { ...faults, injectLinkFault: (fault) => communicator.injectLinkFault(fault) },
      loadEngine: (config) => {
        welcomed = true;
        return loadWorkerEngine({ ...config, ...threads }, chooseDevice(config, device), warn);
      },
    });
    return exitStatus.done;
  } catch (error) {
    // Launched workers leave the message to the launcher, unless it is a bug of ours.
    if (!launched || !('code' in (error as object))) process.stderr.write(`${describeError(error)}\n`);
    return exitStatus.failed;
  }
}

/** For a host with other cores than the rest; nothing where the run's own number holds. @throws ConfigError */
function threadsOf(given: string | undefined): Partial<Pick<ResolvedConfig, 'threads'>> {
  if (given === undefined) return {};
  const parsed = resolvedConfigSchema.shape.threads.safeParse(Number(given));
  if (!parsed.success)
    throw new ConfigError(`--threads: expected a whole number from 1 to 1024, got "${given}".`);
  return { threads: parsed.data };
}

/** The launcher says which; otherwise the instance's number picks one of the GPUs that the config allows. */
function chooseDevice(config: ResolvedConfig, given: string | undefined): EngineDevice {
  if (given !== undefined) return given === 'cpu' ? 'cpu' : Number(given);
  const gpus = chooseGpus(config.devices, machine(config.devices).present);
  return gpus[instanceNumber() % Math.max(1, gpus.length)] ?? 'cpu';
}
