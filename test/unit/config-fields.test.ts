import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { describesAsFragment } from '../../scripts/prose/fragments.js';
import { environmentLayers, flagLayers } from '../../src/cli/options/config-layers.js';
import { addConfigOptions } from '../../src/cli/options/config-options.js';
import { mergeConfig, resolveConfig } from '../../src/cli/options/resolve.js';
import { buildProgram } from '../../src/cli/program.js';
import { configFields } from '../../src/shared/config/config-fields.js';
import { compareConfigs, describeChange } from '../../src/shared/config/resume-policy.js';
import { runConfigSchema } from '../../src/shared/config/run-config.js';

/** A verb at the beginning makes a description a command or a sentence. */
const verbs =
  /^(write|evaluate|end|stop|set|send|use|keep|wait|train|record|print|draw|start|is|are|has|flip|go|choose|select|limit)s?\b/i;

describe('every configuration field', () => {
  it('is part of the schema, once', () => {
    expect(configFields.map(({ name }) => name).sort()).toEqual(Object.keys(runConfigSchema.shape).sort());
  });

  it.each(configFields.map((field) => [field.name, field] as const))(
    '%s has a resume policy and a noun phrase as its description',
    (_, { resume, description }) => {
      if (typeof resume === 'string') expect(['free', 'fixed']).toContain(resume);
      else expect(resume.description).toMatch(/^free; fixed: /);
      expect(describesAsFragment({ text: description }), description).toBe(false);
      expect(description).not.toMatch(verbs);
      // A noun phrase begins in lower case, and nothing precedes it: neither a value nor a clause.
      expect(description).toMatch(/^(TensorFlow|[a-z])/);
      expect(description).not.toMatch(/^(auto|off|test|both|speed|when|if)\b|\.$/);
      expect(description.length).toBeGreaterThan(10);
    },
  );

  it('has a default in words if it has none as a value', () => {
    const defaults = runConfigSchema.parse({});
    for (const { name, defaultInWords } of configFields)
      expect(defaultInWords, name).toBe(defaults[name] === null);
  });
});

describe('the options of train', () => {
  const command = new Command();
  addConfigOptions(command);

  it('are stored under the names of their fields', () => {
    const withFlag = configFields.filter(({ flag }) => flag !== undefined);
    expect(command.options.map((option) => option.attributeName())).toEqual(withFlag.map(({ name }) => name));
  });

  it('take a value unless the field is a boolean', () => {
    for (const option of command.options) {
      const field = configFields.find(({ name }) => name === option.attributeName());
      expect(option.required, option.long ?? '').toBe(field?.type !== 'boolean');
    }
  });

  it('become layers that name the flag, with numbers for number fields', () => {
    command.parse(['--batch-size', '32', '--engine', 'wasm', '--audit'], { from: 'user' });
    expect(flagLayers(command.opts())).toEqual(
      expect.arrayContaining([
        { source: '--batch-size', values: { batchSize: 32 } },
        { source: '--engine', values: { engine: 'wasm' } },
        { source: '--audit', values: { audit: true } },
      ]),
    );
  });
});

describe('train --help', () => {
  const command = buildProgram(() => undefined).commands.find((one) => one.name() === 'train');
  const help = command?.helpInformation() ?? '';

  it('lists the options in groups by subject', () => {
    const groups = [...new Set(configFields.map(({ group }) => group))];
    const headings = [...help.matchAll(/^([A-Z][\w ]+):$/gm)].map(([, heading]) => heading);
    expect(headings).toEqual(['Run', ...groups, 'Output', 'Processes and security', 'Options']);
  });

  it('has each option of a field in the group of the field', () => {
    for (const { flag, group } of configFields) {
      if (flag === undefined) continue;
      const before = help.slice(0, help.indexOf(`  ${flag} `));
      expect(before.match(/^([A-Z][\w ]+):$/gm)?.at(-1), flag).toBe(`${group}:`);
    }
  });
});

describe('environment variables', () => {
  it('set the fields that name them, with numbers for number fields', () => {
    process.env['LOCKSTEP_MAX_STEPS'] = '12';
    process.env['LOCKSTEP_DEVICES'] = '0';
    try {
      expect(environmentLayers()).toEqual(
        expect.arrayContaining([
          { source: 'LOCKSTEP_MAX_STEPS', values: { maxSteps: 12 } },
          { source: 'LOCKSTEP_DEVICES', values: { devices: '0' } },
        ]),
      );
    } finally {
      delete process.env['LOCKSTEP_MAX_STEPS'];
      delete process.env['LOCKSTEP_DEVICES'];
    }
  });
});

describe('a resumed run', () => {
  const merged = (values: Readonly<Record<string, unknown>>) =>
    resolveConfig(mergeConfig([{ source: 'test', values: { workers: 2, threads: 1, ...values } }]), {
      cores: 2,
      gpus: [],
    });
  const compared = (before: Readonly<Record<string, unknown>>, now: Readonly<Record<string, unknown>>) => {
    const { changes, refusals } = compareConfigs(merged(before), merged(now));
    return { changes: changes.map(describeChange), refusals };
  };

  it('names each change that takes effect, with the value before and after', () => {
    const adam = { kind: 'adam', learningRate: 0.001 };
    const before = { optimizer: adam, schedule: { kind: 'step', gamma: 0.7 }, clipNorm: null, trace: 'a' };
    const now = {
      optimizer: { ...adam, learningRate: 0.0005, beta1: 0.8 },
      schedule: { kind: 'step', gamma: 0.5 },
      clipNorm: 1,
      epochs: 9,
      trace: 'b',
      allowOtherData: true,
      augment: [{ kind: 'flip' }],
    };
    expect(compared(before, now)).toEqual({
      refusals: [],
      changes: [
        'epochs 3 -> 9',
        'learning rate 0.001 -> 0.0005',
        'optimizer beta1 0.9 -> 0.8',
        'clip norm null -> 1',
        'schedule gamma 0.7 -> 0.5',
        'augment [] -> [{"kind":"flip","axis":"horizontal"}]',
      ],
    });
    expect(compared({}, { schedule: { kind: 'constant' }, precision: 'bfloat16' }).changes).toEqual([
      'schedule {"kind":"step","stepSize":6,"gamma":0.1} -> {"kind":"constant"}',
      'precision float32 -> bfloat16',
    ]);
  });

  it('refuses another seed, batch size or number of shards by name', () => {
    expect(compared({}, { seed: 2, batchSize: 65, shards: 4 }).refusals).toEqual([
      'seed: 1 then, 2 now',
      'batchSize: 64 then, 65 now',
      'shards: 2 then, 4 now',
    ]);
  });

  it.each([
    ['optimizer', { kind: 'adam' }, { kind: 'sgd' }, /state of adam, which can't become that of sgd without/],
    ['optimizer', { kind: 'sgd' }, { kind: 'sgd', momentum: 0.9 }, /sgd without momentum.*sgd with momentum/],
    ['ema', null, { decay: 0.9 }, /written without it/],
    ['earlyStopping', { patience: 2 }, null, /written with it/],
    [
      'earlyStopping',
      { patience: 2 },
      { patience: 2, metric: 'accuracy', mode: 'max' },
      /best value of another metric/,
    ],
    ['schedule', { kind: 'constant' }, { kind: 'plateau' }, /plateau keeps a state of other form/],
  ])('refuses a change of %s for which the checkpoint has no state', (field, before, now, reason) => {
    const { changes, refusals } = compared({ [field]: before }, { [field]: now });
    expect(changes).toEqual([]);
    expect(refusals).toEqual([expect.stringMatching(reason)]);
    expect(refusals[0]).toMatch(new RegExp(`^${field}: .* then, .* now `));
  });

  it('accepts changes that leave the form of the state', () => {
    expect(compared({ optimizer: { kind: 'adam' } }, { optimizer: { kind: 'adamw' } }).refusals).toEqual([]);
    expect(compared({ ema: { decay: 0.9 } }, { ema: { decay: 0.99 } }).changes).toEqual([
      'ema decay 0.9 -> 0.99',
    ]);
  });

  it('refuses another learning rate under the schedule plateau, which keeps its own', () => {
    const plateau = { schedule: { kind: 'plateau' } };
    const faster = { ...plateau, optimizer: { kind: 'adam', learningRate: 1 } };
    expect(compared(plateau, faster).refusals).toEqual([
      expect.stringMatching(/^optimizer: .*plateau keeps its own/),
    ]);
  });
});
