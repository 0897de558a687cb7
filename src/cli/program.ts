/**
 * The tree of commands with their options. Building it loads no command: each one is imported when it is called, so that
 * `--help` loads neither ZeroMQ nor TensorFlow.
 */

import { Command } from 'commander';
import type { RunCommand } from './command-definitions/command-action.js';
import { addDashboard, addDiff, addRuns, addStatus } from './command-definitions/inspection.js';
import { addCompletion, addData, addDoctor, addEngine, addInit } from './command-definitions/machine.js';
import { addManifest } from './command-definitions/manifest.js';
import { addBench, addChaos } from './command-definitions/measurement.js';
import { addDemo, addEval, addExport, addImport, addPredict } from './command-definitions/saved-models.js';
import { addCoordinator, addKeygen, addSweep, addTrain, addWorker } from './command-definitions/training.js';
import { version } from './version.js';

/** Commands in the order of `--help`. */
const commands: readonly ((program: Command, run: RunCommand) => void)[] = [
  addTrain,
  addSweep,
  addCoordinator,
  addWorker,
  addKeygen,
  addManifest,
  addEval,
  addPredict,
  addDashboard,
  addRuns,
  addStatus,
  addDemo,
  addExport,
  addImport,
  addDiff,
  addBench,
  addChaos,
  addEngine,
  addInit,
  addData,
  addDoctor,
  addCompletion,
];

export function buildProgram(run: RunCommand): Command {
  const program = new Command('lockstep')
    .description('Synchronous data-parallel training for TensorFlow.js')
    .version(version)
    .exitOverride()
    .showHelpAfterError('(see --help)');
  for (const add of commands) add(program, run);
  return program;
}
