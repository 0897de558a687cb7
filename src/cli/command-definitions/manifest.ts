/** Definition of the command that prints manifests for a cluster. */

import { Argument, Option, type Command } from 'commander';
import { manifestKinds } from '../manifest/manifest-plan.js';
import { version } from '../version.js';
import { calls, type RunCommand } from './command-action.js';
import { examples } from './shared-options.js';

export function addManifest(program: Command, run: RunCommand): void {
  program
    .command('manifest')
    .description('print the objects with which a Kubernetes cluster runs a training')
    .usage('kubernetes --workers <n> [options] [-- options of train...]')
    .addArgument(new Argument('<target>', 'system that reads the manifest').choices(['kubernetes']))
    .argument('[options...]', 'options of train for the run, after --')
    .requiredOption('--workers <n>', 'number of workers, each in a pod of its own')
    .addOption(
      new Option(
        '--kind <kind>',
        "jobset: a JobSet; trainjob: Kubeflow's TrainJob and its runtime; job: a Job and a StatefulSet, without any controller of its own",
      )
        .choices(manifestKinds)
        .default('jobset'),
    )
    .option('--name <name>', 'name of the objects', 'lockstep')
    .option('--namespace <name>', 'namespace of the objects (default: that of kubectl)')
    .option('--image <image>', 'image of the containers, built with the Dockerfile', `lockstep:${version}`)
    .option('--cpu <quantity>', 'processors of each pod', '2')
    .option('--memory <quantity>', 'memory of each pod', '4Gi')
    .option('--gpus <n>', 'number of GPUs of each worker', '0')
    .option('--user <id>', 'user and group of the processes; cluster: the cluster assigns them', '1000')
    .option('--grace <seconds>', 'time between SIGTERM and SIGKILL, in which the state is saved', '60')
    .option('--queue <name>', "name of Kueue's queue (default: the job is not queued)")
    .option(
      '--claim <name>',
      'persistent volume claim for the run (default: a folder that is lost with the pod)',
    )
    .option('--secret <name>', 'Secret with the keys (default: NAME-keys)')
    .option('--keys <dir>', 'folder of `lockstep keygen`, whose keys are printed as a Secret')
    .option(
      '--dashboard-secret <name>',
      'Secret with the token of the dashboard, in its entry `token`; opens the dashboard and Prometheus metrics (default: none)',
    )
    .addHelpText(
      'after',
      examples(
        [
          'lockstep manifest kubernetes --workers 4 --claim runs | kubectl apply -f -',
          'a JobSet of five pods',
        ],
        [
          'lockstep manifest kubernetes --workers 4 --kind trainjob -- --epochs 3',
          'a TrainJob with options of train',
        ],
      ),
    )
    .action(calls(run, async () => (await import('../commands/manifest.js')).manifest));
}
