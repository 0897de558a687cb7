/** Shell completion, from the tree of commands: every command, option and choice of values that `--help` shows, and files elsewhere. */

import type { Command } from 'commander';

export const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

interface KnownOption {
  readonly long: string;
  readonly description: string;
  readonly takesValue: boolean;
  readonly choices: readonly string[];
}

interface KnownCommand {
  /** Words after `lockstep`. */
  readonly path: readonly string[];
  readonly description: string;
  readonly commands: readonly { readonly name: string; readonly description: string }[];
  readonly options: readonly KnownOption[];
}

/** What to type for each shell, for the help and the docs. */
export const installation: Readonly<Record<Shell, string>> = {
  bash: 'lockstep completion bash > ~/.local/share/bash-completion/completions/lockstep',
  zsh: 'lockstep completion zsh > "${fpath[1]}/_lockstep"',
  fish: 'lockstep completion fish > ~/.config/fish/completions/lockstep.fish',
};

/** The script that the shell is to read. */
export function completionScript(program: Command, shell: Shell): string {
  const known = describe(program);
  switch (shell) {
    case 'bash':
      return bash(known);
    case 'zsh':
      return zsh(known);
    case 'fish':
      return fish(known);
  }
}

function describe(command: Command, path: readonly string[] = []): KnownCommand[] {
  const help = command.createHelp();
  const commands = help.visibleCommands(command).filter((inner) => inner.name() !== 'help');
  const options = help.visibleOptions(command).flatMap((option) =>
    option.long
      ? [
          {
            long: option.long,
            description: option.description,
            takesValue: option.required || option.optional,
            choices: option.argChoices ?? [],
          },
        ]
      : [],
  );
  const own = {
    path,
    description: command.description(),
    commands: commands.map((inner) => ({ name: inner.name(), description: inner.description() })),
    options,
  };
  return [own, ...commands.flatMap((inner) => describe(inner, [...path, inner.name()]))];
}

/** The part that bash and zsh share: which command the words before the cursor name, and what fits there. */
function cases(known: readonly KnownCommand[]): string {
  const arms = known.map(({ path, commands, options }) => {
    const words = [...commands.map(({ name }) => name), ...options.map(({ long }) => long)].join(' ');
    return `    ${quote(path.join(' '))}) candidates=${quote(words)} ;;`;
  });
  const values = known.flatMap(({ path, options }) =>
    options.flatMap(({ long, takesValue, choices }) =>
      takesValue
        ? [`    ${quote([...path, long].join(' '))}) candidates=${quote(choices.join(' '))}; value=1 ;;`]
        : [],
    ),
  );
  return `  case "$path \${previous}" in
${values.map((arm) => arm.replace(/^ {4}'/, "    '")).join('\n')}
  esac
  if [ -z "$value" ]; then
  case "$path" in
${arms.join('\n')}
  esac
  fi`;
}

function walk(known: readonly KnownCommand[]): string {
  const paths = known.filter(({ path }) => path.length > 0).map(({ path }) => quote(path.join(' ')));
  return `    case "\${path:+$path }$word" in
      ${paths.join('|')}) path="\${path:+$path }$word" ;;
    esac`;
}

function bash(known: readonly KnownCommand[]): string {
  return `# Completion of lockstep for bash, made by \`lockstep completion bash\`.
_lockstep() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" path='' candidates='' value='' word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
${walk(known)}
  done
${cases(known)}
  COMPREPLY=($(compgen -W "$candidates" -- "$current"))
  # Nothing of ours fits: a file, a folder.
  if [ \${#COMPREPLY[@]} -eq 0 ]; then COMPREPLY=($(compgen -f -- "$current")); fi
}
complete -o filenames -F _lockstep lockstep
`;
}

function zsh(known: readonly KnownCommand[]): string {
  return `#compdef lockstep
# Completion of lockstep for zsh, made by \`lockstep completion zsh\`.
_lockstep() {
  local previous="\${words[CURRENT-1]}" path_of='' path='' candidates='' value='' word
  for word in "\${(@)words[2,CURRENT-1]}"; do
${walk(known)}
  done
${cases(known)}
  if [ -n "$candidates" ]; then compadd -- \${=candidates}; fi
  if [ "\${PREFIX[1]}" != '-' ]; then _files; fi
}
compdef _lockstep lockstep
`;
}

function fish(known: readonly KnownCommand[]): string {
  const lines = known.flatMap(({ path, commands, options }) => {
    const inner = commands.map(({ name }) => name);
    const conditions = path.map((word) => `__fish_seen_subcommand_from ${word}`);
    if (path.length === 0) conditions.push('__fish_use_subcommand');
    else if (inner.length > 0) conditions.push(`not __fish_seen_subcommand_from ${inner.join(' ')}`);
    const when = `complete -c lockstep -n ${quote(conditions.join('; and '))}`;
    return [
      ...commands.map(({ name, description }) => `${when} -f -a ${name} -d ${quote(description)}`),
      ...options.map(({ long, description, takesValue, choices }) => {
        const value = choices.length > 0 ? ` -x -a ${quote(choices.join(' '))}` : takesValue ? ' -r' : '';
        return `${when} -l ${long.slice(2)}${value} -d ${quote(description)}`;
      }),
    ];
  });
  return `# Completion of lockstep for fish, made by \`lockstep completion fish\`.\n${lines.join('\n')}\n`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
