/**
 * The commands and their options, as a tree of commander's. Building it loads no command: each is imported when it is called,
 * so that `--help` needs neither ZeroMQ nor TensorFlow.
 */

import { Command } from 'commander';
import type { RunCommand } from './tree/action.js';
import { addCompletion, addDoctor, addEngine, addInit } from './tree/machine.js';
import { addDashboard, addDiff, addRuns } from './tree/observing.js';
import { addDemo, addEval, addExport, addImport, addPredict } from './tree/results.js';
import { addBench, addChaos } from './tree/testing.js';
import { addCoordinator, addKeygen, addTrain, addWorker } from './tree/training.js';
import { version } from './version.js';

/** In the order of `--help`. */
const commands: readonly ((program: Command, run: RunCommand) => void)[] = [
  ...[addTrain, addCoordinator, addWorker, addKeygen],
  ...[addEval, addPredict, addDashboard, addRuns, addDemo, addExport, addImport, addDiff],
  ...[addBench, addChaos],
  ...[addEngine, addInit, addDoctor, addCompletion],
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
