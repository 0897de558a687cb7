/** `lockstep worker`: takes part in a run as one worker. Started by the launcher, by pm2, or by hand on another host. */

import { backOff } from '../../launcher/back-off.js';
import { onLauncherGone } from '../../launcher/child-process.js';
import { PeerLostError } from '../../shared/errors.js';
import { ThreadCommunicator } from '../../worker/communicator/thread-communicator.js';
import { findMemoryAddon } from '../../worker/engine/cache.js';
import { runSession } from '../../worker/session.js';
import { loadWorkerEngine } from '../engine/load-worker-engine.js';
import { adapterNumber, chooseDevice, threadsOf } from '../engine/worker-device.js';
import {
  coordinatorEndpoint,
  currentEngineHost,
  definitionCache,
  host,
  restartCount,
} from '../environment/environment.js';
import { faultOptionsOf, type FaultFlags } from '../options/fault-options.js';
import { placeInNetwork, type NetworkFlags } from '../options/network-options.js';
import type { SecurityFlags } from '../options/security-options.js';
import { definitionSource } from '../security/definition-source.js';
import { warnOfOpenAddress, workerKeys } from '../security/security.js';
import { participateUntilEnd, type WorkerExit } from './worker-exit.js';

export interface WorkerFlags extends SecurityFlags, FaultFlags, NetworkFlags {
  readonly coordinator?: string;
  readonly config?: string;
  readonly device?: string;
  readonly threads?: string;
  /** Set by the launcher: the slot's index, which a replacement of this worker keeps. */
  readonly slot?: string;
  /** Set by the launcher. An IPC channel alone does not indicate one: pm2 opens a channel as well. */
  readonly launched?: boolean;
  /** Number of this process among those of its host, from 0; default: pm2's. */
  readonly instance?: number;
  /** True for a task of a scheduler's job: its notices concern the whole run. */
  readonly inJob?: boolean;
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
  const { slot, number = 0, ...network } = await placeInNetwork(flags, coordinator);
  const exit: WorkerExit = { welcomed: false, saving: false, leftBy: undefined, inJob: flags.inJob === true };
  const communicator = new ThreadCommunicator({
    coordinator,
    memoryAddon: findMemoryAddon(currentEngineHost()),
    keys,
    linkFaults: faults.requests !== undefined,
    ...network,
    launcherPid: launched ? process.ppid : undefined,
  });
  if (launched) {
    onLauncherGone(() => communicator.abandon(new PeerLostError('Launcher lost: its process ended.')));
  }
  const warn = (message: string): void => {
    // The warnings of a launcher's workers are the same; the first worker prints them.
    if (!launched || slot === '0') process.stderr.write(`Warning: ${message}\n`);
  };
  const session = (): Promise<void> =>
    runSession({
      communicator,
      host,
      workerSlot: slot,
      definitionSource: definitionSource({ ...flags, coordinator }, keys),
      definitionCache: definitionCache(),
      warn,
      onSaving: (isSaving) => (exit.saving = isSaving),
      faults: { ...faults, injectLinkFault: (fault) => communicator.injectLinkFault(fault) },
      loadEngine: (config, onWait) => {
        exit.welcomed = true;
        // The launcher's device is a number in NVIDIA's list, which does not contain WebGPU's adapters.
        const adapter = adapterNumber(config, launched ? undefined : device, number);
        return loadWorkerEngine({ ...config, ...threads }, chooseDevice(config, device, number), warn, {
          number: adapter,
          onWait,
          printsWait: !launched,
        });
      },
    });
  return participateUntilEnd(communicator, exit, launched, session);
}
