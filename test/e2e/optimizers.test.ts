import { join } from 'node:path';
import { expect, it } from 'vitest';
import { weightsOf } from '../support/elastic-run.js';
import { lockstep, temporaryFolder } from '../support/lockstep.js';
import { writeSmallTraining } from '../support/small-training.js';

const env = { LOCKSTEP_ENGINE: 'wasm' };

it.each([
  ['rmsprop', '{"kind":"rmsprop","momentum":0.9,"centered":true}'],
  ['adagrad', 'adagrad'],
  ['adadelta', 'adadelta'],
  ['adamax', 'Adamax'],
])(
  '%s has the same bits for two workers as for one that resumes from their checkpoint, and its model is exported',
  async (kind, optimizer) => {
    const cwd = await temporaryFolder();
    const train = async (...args: readonly string[]): Promise<string> =>
      weightsOf(await lockstep(['train', ...args, '--json'], { cwd, env }));
    await writeSmallTraining(cwd);
    const chosen = ['--shards', '2', '--epochs', '3', '--set', `optimizer=${optimizer}`];
    const checkpoints = ['--checkpoint-every', '3steps', '--workers', '2', '--out', 'two'];
    const whole = await train(...chosen, ...checkpoints);
    const half = join('two', 'checkpoints', 'step-000000003');
    expect(await train('--resume', half, '--out', 'one', '--single-process')).toBe(whole);
    if (kind !== 'rmsprop') return;
    const exported = await lockstep(['export', 'two', '--format', 'onnx', '--json'], { cwd, env });
    expect(JSON.parse(exported.stdout)).toMatchObject({ path: join(cwd, 'two', 'model.onnx') });
    const other = ['--resume', half, '--out', 'other', '--set', 'optimizer.kind=sgd'];
    const refused = await lockstep(['train', ...other], { cwd, env });
    expect(refused.stderr).toMatch(
      /the checkpoint has the state of centered rmsprop with momentum, which can't become that of sgd/,
    );
  },
);
