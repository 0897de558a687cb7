import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { addConfigOptions } from '../../src/cli/options/config-options.js';
import { flagLayers } from '../../src/cli/options/config-layers.js';
import { mergeConfig } from '../../src/cli/options/resolve.js';
import { parseAssignment } from '../../src/shared/config/assignments.js';
import { configFields } from '../../src/shared/config/config-fields.js';
import { ConfigError } from '../../src/shared/errors.js';

/** The configuration of `lockstep train` with these options, over the values of a training definition. */
function configOf(options: readonly string[], definition: Readonly<Record<string, unknown>> = {}) {
  const command = new Command().exitOverride();
  addConfigOptions(command);
  command.parse(options, { from: 'user' });
  return mergeConfig([{ source: 'lockstep.config.ts', values: definition }, ...flagLayers(command.opts())]);
}
const set = (...texts: string[]): string[] => texts.flatMap((text) => ['--set', text]);

describe('--set', () => {
  it('sets every field of the configuration to its own default', () => {
    const defaults = mergeConfig([]);
    for (const { name } of configFields) {
      if (name === 'set') continue;
      const value = defaults[name];
      const text = typeof value === 'string' ? value : JSON.stringify(value);
      expect(configOf(set(`${name}=${text}`))[name], name).toEqual(value);
    }
  });

  it('gives each value the type of its field', () => {
    const config = configOf(
      set(
        'epochs=7',
        'name=5',
        'audit=true',
        'data=null',
        'maxSteps=null',
        'checkpointEvery=5min',
        'metrics=["accuracy"]',
      ),
    );
    expect(config).toMatchObject({ epochs: 7, name: '5', audit: true, data: null, maxSteps: null });
    expect(config).toMatchObject({ checkpointEvery: '5min', metrics: ['accuracy'] });
  });

  it('sets a part of what the definition has, or of the default', () => {
    const definition = { optimizer: { kind: 'sgd', learningRate: 0.5, momentum: 0.9 } };
    expect(configOf(set('optimizer.learningRate=0.01'), definition).optimizer).toMatchObject({
      kind: 'sgd',
      learningRate: 0.01,
      momentum: 0.9,
    });
    expect(configOf(set('optimizer.beta1=0.8')).optimizer).toMatchObject({
      kind: 'adam',
      beta1: 0.8,
      epsilon: 1e-8,
    });
    // The default epsilon of tfjs's arithmetic stays a default.
    expect(configOf(set('optimizer.beta1=0.8', 'arithmetic=tfjs')).optimizer).toMatchObject({
      epsilon: 1e-7,
    });
    expect(configOf(set('warmup.epochs=1')).warmup).toEqual({ epochs: 1, from: 0.01 });
    expect(configOf(set('loss.labelSmoothing=0.1'), { loss: 'softmaxCrossEntropy' }).loss).toMatchObject({
      labelSmoothing: 0.1,
    });
    const metrics = [{ kind: 'topK', k: 2 }, 'accuracy'];
    expect(configOf(set('metrics.0.k=5'), { metrics }).metrics).toEqual([{ kind: 'topK', k: 5 }, 'accuracy']);
  });

  it('begins another kind with its own defaults, in any order of the options', () => {
    const definition = { optimizer: { kind: 'adam', learningRate: 0.5, beta1: 0.8 } };
    for (const texts of [
      ['optimizer.kind=sgd', 'optimizer.momentum=0.9'],
      ['optimizer.momentum=0.9', 'optimizer.kind=sgd'],
    ])
      expect(configOf(set(...texts), definition).optimizer).toEqual({
        kind: 'sgd',
        learningRate: 0.01,
        momentum: 0.9,
        dampening: 0,
        nesterov: false,
        weightDecay: 0,
        weightDecayOf: 'all',
      });
    expect(configOf(set('optimizer.kind=adam'), definition).optimizer).toMatchObject({ beta1: 0.8 });
  });

  it('is recorded, so that it outranks model.compile in the workers', () => {
    expect(configOf(set('optimizer.learningRate=0.01', 'epochs=2')).set).toEqual({
      'optimizer.learningRate': 0.01,
      epochs: 2,
    });
  });
});

describe('--set refuses, with the field, the value and a remedy,', () => {
  it.each([
    ['epochs', /--set: expected field=value, got "epochs". Write for example/],
    ['epoch=3', /--set epoch: expected a field of the configuration, got "epoch". Did you mean epochs\?/],
    ['colour=red', /got "colour". docs\/configuration.md lists all fields/],
    ['optimizer.lerningRate=1', /--set optimizer.lerningRate: .*"lerningRate". Did you mean learningRate\?/],
    ['ema.half=1', /--set ema.half: expected a field of ema, got "half". It has decay, warmup\./],
    [
      'epochs.first=1',
      /--set epochs.first: expected a field, but epochs has no parts. Write --set epochs=value/,
    ],
    ['epochs=many', /--set epochs: expected a number, got "many". The default is 3\./],
    ['audit=yes', /--set audit: expected true or false, got "yes"/],
    ['engine=cuda', /--set engine: expected one of auto, tensorflow, wasm, js, webgpu, got "cuda"/],
    ['optimizer={kind:sgd}', /--set optimizer: expected .*JSON, got "\{kind:sgd\}"/],
    [
      'metrics=accuracy, f1',
      /--set metrics: expected JSON, .* Write a list as --set 'metrics=\["accuracy","f1"\]'\./,
    ],
    ['optimizer.learningRate=-1', /--set optimizer.learningRate: .*>0; got "-1". The default is 0.001/],
    ['checkpointEvery=5', /--set checkpointEvery: must be an interval such as 200steps.*got "5"/],
  ])('%s', (text, message) => {
    expect(() => parseAssignment(text)).toThrow(ConfigError);
    expect(() => parseAssignment(text)).toThrow(message);
  });

  it('a field that is set twice', () => {
    expect(() => configOf(set('epochs=1', 'epochs=2'))).toThrow(/--set epochs: .* also from --set epochs/);
    expect(() => configOf(['--epochs', '1', ...set('epochs=2')])).toThrow(
      /--set epochs: .* also from --epochs/,
    );
    expect(() => configOf(set('optimizer={"kind":"sgd"}', 'optimizer.momentum=0.5'))).toThrow(
      /each field once/,
    );
  });

  it('a field of another kind', () => {
    expect(() => configOf(set('optimizer.momentum=0.9'))).toThrow(
      /optimizer.momentum: no such field; got 0.9 \(from --set optimizer.momentum, in its default; set the whole field/,
    );
  });
});
