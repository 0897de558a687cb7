import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { describesAsFragment } from '../../scripts/prose/fragments.js';
import { environmentLayers, flagLayers } from '../../src/cli/options/config-layers.js';
import { addConfigOptions } from '../../src/cli/options/config-options.js';
import { mergeConfig, resolveConfig } from '../../src/cli/options/resolve.js';
import { configFields } from '../../src/shared/config/config-fields.js';
import { fieldsThatDiffer } from '../../src/shared/config/resume-policy.js';
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
      expect(['free', 'fixed']).toContain(resume);
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
  const config = resolveConfig(mergeConfig([{ source: 'test', values: { workers: 2, threads: 1 } }]), {
    cores: 2,
    gpus: [],
  });

  it('may change fields without influence on the results, and no others', () => {
    expect(fieldsThatDiffer(config, { ...config, workers: 7, epochs: 9, keep: 1 })).toEqual([]);
    expect(fieldsThatDiffer(config, { ...config, seed: 2, batchSize: 65 })).toEqual([
      'seed: 1 then, 2 now',
      'batchSize: 64 then, 65 now',
    ]);
  });

  it('may not change the epochs of a schedule that ends with them', () => {
    const cosine = { ...config, schedule: { kind: 'cosine', minimum: 0 } as const };
    expect(fieldsThatDiffer(cosine, { ...cosine, epochs: 9 })).toEqual(['epochs: 3 then, 9 now']);
  });

  it('may not change the interval of evaluations on which the training depends', () => {
    const merged = mergeConfig([{ source: 'test', values: { workers: 2, schedule: { kind: 'plateau' } } }]);
    const plateau = resolveConfig(merged, { cores: 2, gpus: [] });
    expect(fieldsThatDiffer(plateau, { ...plateau, evaluateEvery: '7steps' })).toEqual([
      'evaluateEvery: "1epoch" then, "7steps" now',
    ]);
  });

  it('may change the number of threads only together with the engine', () => {
    expect(fieldsThatDiffer(config, { ...config, threads: 2 })).toEqual(['threads: 1 then, 2 now']);
    expect(fieldsThatDiffer(config, { ...config, threads: 2, engine: 'wasm' })).toEqual([]);
  });
});
