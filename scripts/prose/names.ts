/** Extracts descriptions of configuration fields and options, and names of tests, from TypeScript source. */
import ts from 'typescript';

export interface NamedText {
  /** Line number in the file, from 1. */
  readonly line: number;
  readonly text: string;
}

/** Position of the description among the arguments of zod's and commander's functions. */
const describingMethods: Readonly<Record<string, number>> = {
  describe: 0,
  description: 0,
  option: 1,
  requiredOption: 1,
  argument: 1,
};
const describingClasses: Readonly<Record<string, number>> = { Option: 1, Argument: 1 };
const testFunctions = new Set(['it', 'test', 'describe']);

/** Returns the descriptions that source code gives to configuration fields, commands, options and arguments. */
export function descriptions(source: string): NamedText[] {
  return collect(source, (node) => {
    if (ts.isNewExpression(node) && ts.isIdentifier(node.expression))
      return argumentAt(node.arguments, describingClasses[node.expression.text]);
    if (ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression))
      return argumentAt(node.arguments, describingMethods[node.expression.name.text]);
    return undefined;
  });
}

/** Returns the names given to `it`, `test` and `describe`, with their variants such as `it.each(...)(name)` and `it.skipIf(...)(name)`. */
export function testNames(source: string): NamedText[] {
  return collect(source, (node) => {
    if (!ts.isCallExpression(node)) return undefined;
    // In `it.each(cases)(name, ...)`, the name is an argument of the outer call only.
    if (ts.isPropertyAccessExpression(node.expression) && ts.isCallExpression(node.parent)) {
      if (node.parent.expression === node) return undefined;
    }
    return testFunctions.has(rootName(node.expression)) ? argumentAt(node.arguments, 0) : undefined;
  });
}

/** Returns the identifier at the root of a chain of calls and property accesses, or an empty string. */
function rootName(expression: ts.Expression): string {
  if (ts.isIdentifier(expression)) return expression.text;
  if (ts.isCallExpression(expression) || ts.isPropertyAccessExpression(expression))
    return rootName(expression.expression);
  return '';
}

function argumentAt(
  args: readonly ts.Expression[] | undefined,
  index: number | undefined,
): ts.Expression | undefined {
  return index === undefined ? undefined : args?.[index];
}

function collect(source: string, select: (node: ts.Node) => ts.Expression | undefined): NamedText[] {
  const file = ts.createSourceFile('file.ts', source, ts.ScriptTarget.Latest, true);
  const found: NamedText[] = [];
  const visit = (node: ts.Node): void => {
    const selected = select(node);
    const text = selected && beginning(selected);
    if (selected && text !== undefined)
      found.push({ line: file.getLineAndCharacterOfPosition(selected.getStart(file)).line + 1, text });
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

/** Returns the beginning of a text that is a literal, a template or a concatenation; undefined for any other expression. */
function beginning(expression: ts.Expression): string | undefined {
  if (ts.isStringLiteralLike(expression)) return expression.text;
  if (ts.isTemplateExpression(expression)) return expression.head.text;
  return ts.isBinaryExpression(expression) ? beginning(expression.left) : undefined;
}
