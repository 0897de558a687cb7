/** Commands that prepare a machine, a project or a shell. */

import { Argument, type Command } from 'commander';
import { completionScript, installation, shells, type Shell } from '../completion.js';
import { exitStatus } from '../exit.js';
import { calls, type RunCommand } from './action.js';
import { examples } from './shared-options.js';

export function addEngine(program: Command, run: RunCommand): void {
  const engine = program.command('engine').description('the native TensorFlow library');
  engine
    .command('install')
    .description('provide TensorFlow, from the first source that works')
    .option('--from <dir>', 'a folder with the wheel, its contents, or libtensorflow')
    .option('--cuda', 'the build for NVIDIA GPUs')
    .option('--verify', 'check every file of an installed engine')
    .option('--if-missing', 'do nothing when an engine is installed')
    .option('--force', 'install again')
    .addHelpText(
      'after',
      examples(
        ['lockstep engine install', 'from a PyPI wheel, by pip'],
        ['lockstep engine install --from wheels', 'without the network'],
      ),
    )
    .action(calls(run, async () => (await import('../commands/engine.js')).install));
  engine
    .command('status')
    .description('what is installed, what it runs on, and what to type next')
    .option('--json', 'as JSON on stdout')
    .addHelpText('after', examples(['lockstep engine status --json', 'for programs']))
    .action(calls(run, async () => (await import('../commands/engine.js')).showStatus));
}

export function addInit(program: Command, run: RunCommand): void {
  program
    .command('init')
    .description('write a starter project that trains at once; what is there stays as it is')
    .argument('[dir]', 'folder of the project', '.')
    .option('--json', 'one JSON line on stdout')
    .addHelpText('after', examples(['lockstep init my-model', 'then follow what it prints']))
    .action(calls(run, async () => (await import('../commands/init.js')).init));
}

export function addDoctor(program: Command, run: RunCommand): void {
  program
    .command('doctor')
    .description('look at this machine and say what to do before training on it')
    .option('--json', 'one JSON line on stdout')
    .addHelpText('after', '\nThe exit status is 1 when a training can not work here as it is.')
    .action(calls(run, async () => (await import('../commands/doctor.js')).doctor));
}

export function addCompletion(program: Command, run: RunCommand): void {
  program
    .command('completion')
    .description('print the completion script of a shell')
    .addArgument(new Argument('<shell>').choices(shells))
    .addHelpText('after', examples(...shells.map((shell) => [installation[shell], shell] as const)))
    .action((shell: Shell) => {
      run(() => {
        process.stdout.write(completionScript(program, shell));
        return Promise.resolve(exitStatus.done);
      });
    });
}
