/** Definitions of the commands that use a saved model. */

import { Option, type Command } from 'commander';
import { exportFormats, weightLayouts } from '../../worker/export/formats.js';
import { calls, callsQuietly, type RunCommand } from './command-action.js';
import { definitionOption, examples, fieldOption, launchedOption } from './shared-options.js';

const modelFolder = 'folder of a run, or of a tfjs model';

export function addEval(program: Command, run: RunCommand): void {
  program
    .command('eval')
    .description('evaluate a saved run or model')
    .argument('<dir>', modelFolder)
    .option('--data <dir>', "folder with the four IDX files (default: the run's data)")
    .addOption(definitionOption())
    .option('--split <name>', 'data set to evaluate, test or train', 'test')
    .option('--picture <file>', 'file for a picture of the confusion matrix, .svg or .png')
    .addOption(fieldOption('engine', 'auto'))
    .addOption(fieldOption('allowSoftwareGpu'))
    .option('--json', 'one JSON line on stdout')
    .addOption(launchedOption())
    .addHelpText(
      'after',
      examples(
        ['lockstep eval runs/first', 'on the test set of its own data'],
        ['lockstep eval runs/first --data fashion --split train', 'on other data'],
        ['lockstep eval runs/first --picture confusion.svg', 'with a picture of the confusion matrix'],
      ),
    )
    .action(callsQuietly(run, async () => (await import('../commands/eval.js')).evaluateSaved));
}

export function addPredict(program: Command, run: RunCommand): void {
  program
    .command('predict')
    .description(
      'predict from pictures, from the rows of a table, or from samples in JSON or CSV files, with a saved run or model',
    )
    .argument('<dir>', modelFolder)
    .argument(
      '<file...>',
      'picture files; CSV or JSON files with the columns of the training, for a run that was trained on a table; or .json, .jsonl, .ndjson, ' +
        '.csv and .tsv files with the numbers of samples, for a model of any shape. A model of one channel without saved preprocessing takes pictures of one digit, as in MNIST',
    )
    .addOption(definitionOption())
    .addOption(fieldOption('engine', 'auto'))
    .addOption(fieldOption('allowSoftwareGpu'))
    .option(
      '--classes <names>',
      'names of the classes in order, divided by commas (default: those of the run)',
    )
    .option('--json', 'one JSON line per picture, row or sample on stdout')
    .addOption(launchedOption())
    .addHelpText(
      'after',
      `${examples(
        ['lockstep predict runs/first seven.png two.jpg', 'one line per picture'],
        ['lockstep predict runs/first *.png --json', 'every class with its probability'],
        [
          'lockstep predict runs/iris flowers.json --classes setosa,versicolor,virginica',
          'one line per sample',
        ],
        ['lockstep predict runs/houses new.csv', 'one line per row'],
      )}\n\nA file that cannot be read is reported, the others are used, and the exit status is 2.`,
    )
    .action(callsQuietly(run, async () => (await import('../commands/predict.js')).predict));
}

export function addDemo(program: Command, run: RunCommand): void {
  program
    .command('demo')
    .description('serve a page on which a saved model recognizes drawn digits')
    .argument('<dir>', modelFolder)
    .addOption(definitionOption())
    .option('--port <n>', 'port of the page; 0: any free port', '0')
    .option('--host <address>', 'address to listen on; 0.0.0.0: reachable from other machines', '127.0.0.1')
    .option('--json', 'one JSON line with the address on stdout')
    .addHelpText('after', examples(['lockstep demo runs/first', 'prints the address of the page']))
    .action(calls(run, async () => (await import('../commands/demo.js')).demo));
}

export function addExport(program: Command, run: RunCommand): void {
  program
    .command('export')
    .description('write a saved model in the format of another program')
    .argument('<dir>', modelFolder)
    .addOption(new Option('--format <name>', 'format of the export').choices(exportFormats).default('tfjs'))
    .addOption(
      new Option('--layout <name>', 'naming and memory layout of safetensors weights')
        .choices(weightLayouts)
        .default('tfjs'),
    )
    .addOption(definitionOption())
    .option('--out <path>', 'file (safetensors, onnx) or folder of the export (default: in the run)')
    .addOption(fieldOption('engine', 'auto'))
    .addOption(fieldOption('allowSoftwareGpu'))
    .option('--json', 'one JSON line on stdout')
    .addOption(launchedOption())
    .addHelpText(
      'after',
      examples(
        ['lockstep export runs/first --format onnx', 'runs/first/model.onnx, for onnxruntime'],
        ['lockstep export runs/first --format savedmodel --out served/1', 'for TensorFlow and its servers'],
      ),
    )
    .action(callsQuietly(run, async () => (await import('../commands/export.js')).exportSaved));
}

export function addImport(program: Command, run: RunCommand): void {
  program
    .command('import')
    .description("make a saved model from PyTorch's weights")
    .argument('<file>', 'safetensors file of a state dict')
    .option('--config <file>', 'training definition with the model (default: as for train)')
    .option('--order <names>', 'top-level modules from first to last, comma-separated, if several orders fit')
    .option('--out <dir>', 'folder of the run (default: runs/<time>)')
    .option('--fresh', 'move an earlier run in --out aside, to <dir>.1')
    .addOption(fieldOption('engine', 'auto'))
    .addOption(fieldOption('allowSoftwareGpu'))
    .option('--json', 'one JSON line on stdout')
    .addOption(launchedOption())
    .addHelpText(
      'after',
      examples([
        'lockstep import pytorch.safetensors --out runs/pytorch',
        'the ConvNet; then: lockstep eval runs/pytorch',
      ]),
    )
    .action(callsQuietly(run, async () => (await import('../commands/import.js')).importWeights));
}
