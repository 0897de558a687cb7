/** Checks the imports of a source tree against rules.ts, and that no files import each other in a cycle, types included. */

import { isBuiltin } from 'node:module';
import { cruise, type IDependency } from 'dependency-cruiser';
import { layers, maxDependencies, type Layer } from './rules.js';

/** @param root folder that holds `src` @returns one sentence per violation, sorted */
export async function checkImports(root: string): Promise<string[]> {
  const { output } = await cruise(
    ['src'],
    { baseDir: root, tsPreCompilationDeps: true, doNotFollow: { path: 'node_modules' } },
    // TypeScript's sources import each other by the names that the compiler gives them.
    { extensionAlias: { '.js': ['.ts', '.js'] }, extensions: ['.ts', '.js', '.d.ts'] },
  );
  if (typeof output === 'string')
    throw new TypeError('expected the result of dependency-cruiser, got a report');
  const { modules } = output;
  return modules
    .filter(({ source }) => source.startsWith('src/'))
    .flatMap(({ source, dependencies }) => violationsOf(source, dependencies))
    .sort();
}

function violationsOf(source: string, dependencies: readonly IDependency[]): string[] {
  const layer = layerOf(source);
  if (!layer)
    return [`${source}: expected a layer in scripts/imports/rules.ts, got none. Add its folder there.`];
  const found = dependencies.flatMap((dependency) => [
    ...(isAllowed(layer, dependency)
      ? []
      : [`${source}: ${layer.path} must not import ${nameOf(dependency)}.`]),
    ...(dependency.circular ? [`${source}: imports ${nameOf(dependency)}, which imports it back.`] : []),
  ]);
  const count = new Set(dependencies.map(({ module }) => module)).size;
  if (count > maxDependencies)
    found.push(`${source}: expected at most ${maxDependencies} imports, got ${count}. Split the file.`);
  return found;
}

function layerOf(file: string): Layer | undefined {
  return layers
    .filter(({ path }) => file === path || file.startsWith(`${path}/`))
    .sort((a, b) => b.path.length - a.path.length)[0];
}

function isAllowed(layer: Layer, { module, resolved, typeOnly, dependencyTypes }: IDependency): boolean {
  const target = layerOf(resolved);
  if (target) return target === layer || layer.imports.includes(target.path);
  const allows = (names: readonly string[] = []): boolean =>
    isBuiltin(module)
      ? names.includes('node:*')
      : names.some((name) => module === name || module.startsWith(`${name}/`));
  const types = typeOnly === true || dependencyTypes.includes('type-only');
  return allows(layer.packages) || (types && allows(layer.types));
}

function nameOf({ module, resolved }: IDependency): string {
  if (resolved.startsWith('src/')) return resolved;
  return isBuiltin(module) && !module.startsWith('node:') ? `node:${module}` : module;
}
