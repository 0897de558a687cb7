/** `lockstep worker`: takes part in a run as one worker. Started by the launcher, by pm2, or by hand on another host. */

import { backOff } from '../../launcher/back-off.js';
import { leaveSignalsToLauncher, onLauncherGone } from '../../launcher/child-process.js';
import { PeerLostError } from '../../shared/errors.js';
import { exitStatus } from '../../shared/exit-status.js';
import { ThreadCommunicator } from '../../worker/communicator/thread-communicator.js';
import { findMemoryAddon } from '../../worker/engine/cache.js';
import { runSession } from '../../worker/session.js';
import { loadWorkerEngine } from '../engine/load-worker-engine.js';
import { chooseDevice, threadsOf } from '../engine/worker-device.js';
import {
  coordinatorEndpoint,
  currentEngineHost,
  definitionCache,
  host,
  instanceNumber,
  restartCount,
} from '../environment/environment.js';
import { describeError } from '../exit.js';
import { faultOptionsOf, type FaultFlags } from '../options/fault-options.js';
import type { SecurityFlags } from '../options/security-options.js';
import { definitionSource } from '../security/definition-source.js';
import { warnOfOpenAddress, workerKeys } from '../security/security.js';

/** Time for the coordinator to let this worker go; less than pm2's kill_timeout in ecosystem.config.js. */
const leaveMs = 12_000;

export interface WorkerFlags extends SecurityFlags, FaultFlags {
  readonly coordinator?: string;
  readonly config?: string;
  readonly device?: string;
  readonly threads?: string;
  /** Set by the launcher: the slot's index, which a replacement of this worker keeps. */
  readonly slot?: string;
  /** Set by the launcher. An IPC channel alone does not indicate one: pm2 opens a channel as well. */
  readonly launched?: boolean;
}

/** Resolves with the exit status. @throws ConfigError */
export async function work(flags: WorkerFlags): Promise<number> {
  const { device, launched = false } = flags;
  const coordinator = coordinatorEndpoint(flags.coordinator);
  const threads = threadsOf(flags.threads);
  const keys = workerKeys(coordinator, flags);
  if (!launched) warnOfOpenAddress(coordinator, keys);
  const faults = faultOptionsOf(flags);
  if (!launched) await backOff(restartCount());
  const joined = { welcomed: false };
  const communicator = new ThreadCommunicator({
    coordinator,
    memoryAddon: findMemoryAddon(currentEngineHost()),
    keys,
    linkFaults: faults.requests !== undefined,
  });
  if (launched) {
    leaveSignalsToLauncher();
    onLauncherGone(() => communicator.abandon(new PeerLostError('Launcher lost: its process ended.')));
  } else leaveOnSignal(communicator, joined);
  const slot = flags.slot ?? String(instanceNumber());
  const warn = (message: string): void => {
    // The warnings of a launcher's workers are the same; the first worker prints them.
    if (!launched || slot === '0') process.stderr.write(`Warning: ${message}\n`);
  };
  try {
    await runSession({
      communicator,
      host,
      workerSlot: slot,
      definitionSource: definitionSource({ ...flags, coordinator }, keys),
      definitionCache: definitionCache(),
      warn,
      faults: { ...faults, injectLinkFault: (fault) => communicator.injectLinkFault(fault) },
      loadEngine: (config) => {
        joined.welcomed = true;
        return loadWorkerEngine({ ...config, ...threads }, chooseDevice(config, device), warn);
      },
    });
    return exitStatus.done;
  } catch (error) {
    // The launcher prints the errors of its workers, except for bugs.
    if (!launched || !('code' in (error as object))) process.stderr.write(`${describeError(error)}\n`);
    return exitStatus.failed;
  }
}

/**
 * Leaves the run on SIGINT or SIGTERM. The coordinator releases the worker at once, unless its state has to be saved first. A worker
 * without state ends immediately.
 */
function leaveOnSignal(communicator: ThreadCommunicator, joined: { readonly welcomed: boolean }): void {
  const stop = (): void => communicator.abandon(new PeerLostError('This worker was told to stop.'));
  const leave = (): void => {
    communicator.send({ type: 'leave' });
    if (joined.welcomed) setTimeout(stop, leaveMs).unref();
    else stop();
  };
  process.once('SIGINT', leave);
  process.once('SIGTERM', leave);
}
