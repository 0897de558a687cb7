#!/usr/bin/env node
/** The command line: runs the command that the arguments name, and ends with its exit status. */

import { CommanderError } from 'commander';
import { installStopSignals, leaveSignalsToLauncher } from '../launcher/stop-signals.js';
import { reportFailure, takeCalled } from '../launcher/called-process.js';
import { ConfigError } from '../shared/errors.js';
import { exitStatus } from '../shared/exit-status.js';
import { collectGarbageEvery, collectVariable } from '../shared/memory/garbage-collection.js';
import { attributeError } from '../shared/user-code.js';
import { describeError, statusOf } from './exit.js';
import { guardOutput } from './guard-output.js';
import { buildProgram } from './program.js';

const stoppable = ['train', 'coordinator', 'worker'];
if (stoppable.includes(process.argv[2] ?? '')) {
  if (process.argv.includes('--launched')) leaveSignalsToLauncher();
  else installStopSignals();
}
const isCalled = takeCalled(process.argv);
guardOutput(stoppable.includes(process.argv[2] ?? ''));
collectGarbageEvery(Number(process.env[collectVariable]));
let status: Promise<number> | undefined;
const program = buildProgram((command) => {
  status = command();
});

try {
  program.parse();
  process.exitCode = (await status) ?? exitStatus.done;
} catch (error) {
  if (error instanceof CommanderError) {
    // The API passes the values of its options on as arguments.
    if (isCalled && error.exitCode !== 0)
      await reportFailure(new ConfigError(error.message.replace(/^error: /, '')));
    process.exitCode = error.exitCode === 0 ? exitStatus.done : exitStatus.usage;
  } else {
    const attributed = attributeError(error);
    if (isCalled) await reportFailure(attributed);
    process.stderr.write(`${describeError(attributed)}\n`);
    process.exitCode = statusOf(attributed);
  }
}
// ZeroMQ's contexts and a parent's IPC channel would keep the process alive. Everything is closed or flushed by now.
process.exit();
