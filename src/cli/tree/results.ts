/** Commands that do something with a saved model. */

import { Option, type Command } from 'commander';
import { exportFormats, weightLayouts } from '../../worker/export/formats.js';
import { calls, callsQuietly, type RunCommand } from './action.js';
import { engines, examples, launched } from './shared-options.js';

export function addEval(program: Command, run: RunCommand): void {
  program
    .command('eval')
    .description('evaluate a saved run or model on the test set')
    .argument('<dir>', 'folder of a run, or of a tfjs model')
    .option('--data <dir>', 'folder of the four IDX files (default: as the run)')
    .option('--config <file>', 'training definition, when it brings a data source of its own')
    .option('--split <name>', 'test or train', 'test')
    .option('--picture <file>', 'the confusion matrix as a picture, .svg or .png')
    .option('--engine <name>', engines, 'auto')
    .option('--json', 'one JSON line on stdout')
    .addOption(launched())
    .addHelpText(
      'after',
      examples(
        ['lockstep eval runs/first', 'on the data that it was trained for'],
        ['lockstep eval runs/first --data fashion --split train', 'on other data'],
        ['lockstep eval runs/first --picture confusion.svg', 'which class is taken for which'],
      ),
    )
    .action(callsQuietly(run, async () => (await import('../commands/eval.js')).evaluateSaved));
}

export function addPredict(program: Command, run: RunCommand): void {
  program
    .command('predict')
    .description('classify pictures with a saved run or model')
    .argument('<dir>', 'folder of a run, or of a tfjs model')
    .argument('<image...>', 'picture files of one digit each')
    .option('--engine <name>', engines, 'auto')
    .option('--json', 'one JSON line a picture on stdout')
    .addOption(launched())
    .addHelpText(
      'after',
      `${examples(
        ['lockstep predict runs/first seven.png two.jpg', 'a line a picture'],
        ['lockstep predict runs/first *.png --json', 'every class with its probability'],
      )}\n\nA picture that can not be read is reported, the others are answered, and the exit status is 2.`,
    )
    .action(callsQuietly(run, async () => (await import('../commands/predict.js')).predict));
}

export function addDemo(program: Command, run: RunCommand): void {
  program
    .command('demo')
    .description('serve a page in which a saved model recognises what you draw')
    .argument('<dir>', 'folder of a run, or of a tfjs model')
    .option('--port <n>', 'port; 0: any that is free', '0')
    .option('--host <address>', 'address to listen on; 0.0.0.0: for other machines too', '127.0.0.1')
    .option('--json', 'one JSON line with the address on stdout')
    .addHelpText('after', examples(['lockstep demo runs/first', 'prints the address of the page']))
    .action(calls(run, async () => (await import('../commands/demo.js')).demo));
}

export function addExport(program: Command, run: RunCommand): void {
  program
    .command('export')
    .description('write a saved model in the format of another program')
    .argument('<dir>', 'folder of a run, or of a tfjs model')
    .addOption(new Option('--format <name>', 'of which program').choices(exportFormats).default('tfjs'))
    .addOption(
      new Option('--layout <name>', 'names and orders of safetensors').choices(weightLayouts).default('tfjs'),
    )
    .option('--out <path>', 'file (safetensors, onnx) or folder (default: in the run)')
    .option('--engine <name>', engines, 'auto')
    .option('--json', 'one JSON line on stdout')
    .addOption(launched())
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
    .description("make a saved model of PyTorch's weights")
    .argument('<file>', 'safetensors file of a state dict')
    .option('--config <file>', 'training definition whose model it is (default: as for train)')
    .option('--order <names>', 'top level modules from first to last, with commas, where several orders fit')
    .option('--out <dir>', 'folder of the run (default: runs/<time>)')
    .option('--engine <name>', engines, 'auto')
    .option('--json', 'one JSON line on stdout')
    .addOption(launched())
    .addHelpText(
      'after',
      examples([
        'lockstep import pytorch.safetensors --out runs/pytorch',
        'the ConvNet; then: lockstep eval runs/pytorch',
      ]),
    )
    .action(callsQuietly(run, async () => (await import('../commands/import.js')).importWeights));
}
