/** Trains under a launcher, which runs the coordinator and the workers of this machine as child processes. */

import { RunSupervisor } from '../../launcher/run-supervisor.js';
import type { FaultOptions } from '../../worker/faults/fault-options.js';
import type { JobAddress } from '../job/lead-job.js';
import { faultArguments } from '../options/fault-options.js';
import type { RunSetup } from '../options/run-setup.js';
import type { Reporters } from '../reporters/reporters.js';
import type { OpenRun } from '../runs/open-run.js';

/** Resolves with the exit status. */
export function trainInChildren(
  setup: RunSetup,
  run: OpenRun,
  reporters: Reporters,
  { keys, task, socketDirectory }: JobAddress,
  faults: FaultOptions,
): Promise<number> {
  const { config, gpus, out } = setup;
  const resume = setup.checkpoint;
  const supervisor = new RunSupervisor(
    {
      config,
      ...setup.identity,
      gpus,
      keys,
      out,
      resume,
      inherited: run.inherited,
      socketDirectory: socketDirectory(),
      workerArguments: faultArguments(faults),
      task,
    },
    reporters,
  );
  reporters.controls.connect(() => supervisor.requestCheckpoint());
  return supervisor.ended();
}
