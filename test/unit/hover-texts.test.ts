import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { expect, it } from 'vitest';
import { configFields } from '../../src/shared/config/config-fields.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const file = `${root}test/unit/hover-texts-example.ts`;

/** The hover texts of the property names of each training definition, by path, as an editor gets them from TypeScript. */
function hoverTexts(definitions: readonly string[]): ReadonlyMap<string, string>[] {
  const calls = definitions.map((fields) => `defineTraining({ ${fields} });`);
  const text = ["import { defineTraining } from '../../src/index.js';", ...calls].join('\n');
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    strict: true,
    skipLibCheck: true,
    types: [],
  };
  const service = ts.createLanguageService({
    getScriptFileNames: () => [file],
    getScriptVersion: () => '1',
    getScriptSnapshot: (path) => {
      const content = path === file ? text : ts.sys.readFile(path);
      return content === undefined ? undefined : ts.ScriptSnapshot.fromString(content);
    },
    getCurrentDirectory: () => root,
    getCompilationSettings: () => options,
    getDefaultLibFileName: ts.getDefaultLibFilePath,
    fileExists: (path) => path === file || ts.sys.fileExists(path),
    readFile: (path) => (path === file ? text : ts.sys.readFile(path)),
    directoryExists: ts.sys.directoryExists,
    getDirectories: ts.sys.getDirectories,
  });
  const source = service.getProgram()?.getSourceFile(file);
  const visit = (node: ts.Node, path: readonly string[], texts: Map<string, string>): void => {
    const own = ts.isPropertyAssignment(node) ? [...path, node.name.getText()] : path;
    if (ts.isPropertyAssignment(node)) {
      const info = service.getQuickInfoAtPosition(file, node.name.getStart());
      texts.set(own.join('.'), ts.displayPartsToString(info?.documentation));
    }
    ts.forEachChild(node, (child) => visit(child, own, texts));
  };
  const found = (source?.statements ?? []).slice(1).map((statement) => {
    const texts = new Map<string, string>();
    visit(statement, [], texts);
    return texts;
  });
  service.dispose();
  return found;
}

/** Structured fields with all of their parts. */
const structures: Readonly<Record<string, string>> = {
  normalize: '{ mean: 0, std: 1 }',
  ema: '{ decay: 0.9, warmup: true }',
  warmup: '{ steps: 1, from: 0.1 }',
  earlyStopping: "{ metric: 'loss', mode: 'min', patience: 1, threshold: 0, thresholdMode: 'relative' }",
  schedule: "{ kind: 'oneCycle', rise: 0.3, startDivisor: 25, endDivisor: 1e4, anneal: 'cosine' }",
  optimizer:
    "{ kind: 'rmsprop', learningRate: 1, decay: 0.9, momentum: 0, epsilon: 1e-8, centered: false, arithmetic: 'tfjs', weightDecay: 0, weightDecayOf: 'all' }",
};

const defined = configFields.filter(({ name }) => name !== 'set');
const values: Readonly<Record<string, string>> = {
  model: 'undefined as never',
  callbacks: '[]',
  data: "'data'",
  ...structures,
};
const everything = [...new Set([...defined.map(({ name }) => name), 'model', 'callbacks'])]
  .map((name) => `${name}: ${values[name] ?? 'undefined as never'}`)
  .join(', ');

/** Further kinds, with the parts that the ones above lack. */
const kinds = [
  "optimizer: { kind: 'sgd', learningRate: 1, momentum: 0, dampening: 0, nesterov: false }",
  "optimizer: { kind: 'adam', learningRate: 1, beta1: 0, beta2: 0, epsilon: 1 }",
  "optimizer: { kind: 'adagrad', initialAccumulatorValue: 0 }",
  "optimizer: { kind: 'adadelta', rho: 0.9 }",
  "schedule: { kind: 'step', stepSize: 1, gamma: 0.5 }",
  "schedule: { kind: 'cosine', minimum: 0 }",
  "schedule: { kind: 'plateau', factor: 0.1, cooldown: 0, minimum: 0, patience: 1 }",
];

it('has a hover text for every field of a training definition, and for every part of a structured one', () => {
  const [texts = new Map<string, string>(), ...ofKinds] = hoverTexts([
    everything,
    ...kinds.map((fields) => `model: undefined as never, ${fields}`),
  ]);
  for (const { name, description } of defined) {
    const text = texts.get(name) ?? '';
    expect(text.length, name).toBeGreaterThan(20);
    if (!['data', 'loss', 'metrics', 'augment'].includes(name)) {
      expect(text.toLowerCase(), name).toContain(description.toLowerCase());
      expect(text, name).toMatch(/Default: .*On resume: /s);
    }
  }
  expect(texts.size).toBeGreaterThan(defined.length + 20);
  const empty = [texts, ...ofKinds].flatMap((one) =>
    [...one].filter(([, text]) => text === '').map(([name]) => name),
  );
  expect(empty).toEqual([]);
  for (const [i, fields] of kinds.entries()) expect(ofKinds[i]?.size, fields).toBeGreaterThan(3);
});
