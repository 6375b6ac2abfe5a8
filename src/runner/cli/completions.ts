/** Completion scripts, made from the commands and options that there are. */
import { Argument, Command } from 'commander';
import type { CliContext, CommandModule } from './context.ts';

interface Completable {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly { readonly flag: string; readonly summary: string }[];
  readonly children: readonly string[];
}

export const completionsCommand: CommandModule = {
  name: 'completions',
  register(program, context) {
    program
      .command('completions')
      .description('print completions for bash, zsh or fish')
      .addArgument(new Argument('<shell>', 'the shell').choices(['bash', 'zsh', 'fish']))
      .option('--json', 'print the script as a JSON text')
      .addHelpText('after', '\nbash: source <(pipe completions bash)   zsh: source <(pipe completions zsh)   fish: pipe completions fish | source')
      .action(async (shell: 'bash' | 'zsh' | 'fish', options: { json?: boolean }) => {
        const commands = await allCommands(context);
        const script = { bash, zsh, fish }[shell](commands);
        context.stdout.write(options.json ? `${JSON.stringify({ shell, script })}\n` : script);
      });
  },
};

async function allCommands(context: CliContext): Promise<readonly Completable[]> {
  const program = new Command('pipe');
  for (const entry of context.commands) (await entry.load()).register(program, context);
  return context.commands.map(entry => {
    const command = program.commands.find(other => other.name() === entry.name);
    const options = (command?.options ?? []).flatMap(option => (option.long ? [{ flag: option.long, summary: option.description }] : []));
    return { name: entry.name, summary: entry.summary, options, children: (command?.commands ?? []).map(child => child.name()) };
  });
}

const words = (command: Completable): string => [...command.children, ...command.options.map(option => option.flag), '--help'].join(' ');

function bash(commands: readonly Completable[]): string {
  const cases = commands.map(command => `    ${command.name}) words="${words(command)}" ;;`).join('\n');
  return `# bash completion for pipe: source <(pipe completions bash)
_pipe() {
  local current="\${COMP_WORDS[COMP_CWORD]}" command="" word words file
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if [[ $word != -* ]]; then command=$word; break; fi
  done
  case "$command" in
    "") words="${commands.map(command => command.name).join(' ')} --help --version" ;;
${cases}
    *) words="" ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  if [[ -n $command && $current != -* ]]; then
    for file in "$current"*.yaml "$current"*.yml pipelines/"$current"*.yaml pipelines/"$current"*.yml; do
      if [[ -e $file ]]; then COMPREPLY+=("\${file#pipelines/}"); fi
    done
  fi
}
complete -o default -F _pipe pipe
`;
}

const zshText = (text: string): string => text.replaceAll("'", String.raw`'\''`).replaceAll('[', '(').replaceAll(']', ')').replaceAll(':', '\\:');

function zsh(commands: readonly Completable[]): string {
  const list = commands.map(command => `    '${command.name}:${zshText(command.summary)}'`).join('\n');
  const cases = commands.map(command => {
    const options = command.options.map(option => `'${option.flag}[${zshText(option.summary)}]'`).join(' ');
    const first = command.children.length > 0 ? `'1:subcommand:(${command.children.join(' ')})'` : '';
    return `    ${command.name}) _arguments ${options} ${first} '*:file or target:_pipe_files' ;;`;
  }).join('\n');
  return `#compdef pipe
# zsh completion for pipe: source <(pipe completions zsh)
_pipe_files() {
  local -a files
  files=(*.yaml(N) *.yml(N) pipelines/*.yaml(N:t) pipelines/*.yml(N:t))
  compadd -a files
}
_pipe() {
  local -a commands
  commands=(
${list}
  )
  if (( CURRENT == 2 )); then _describe command commands; return; fi
  local command=\${words[2]}
  shift words; (( CURRENT-- ))
  case $command in
${cases}
  esac
}
compdef _pipe pipe
`;
}

const fishText = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll("'", "\\'");

function fish(commands: readonly Completable[]): string {
  const lines = ['# fish completion for pipe: pipe completions fish | source', 'complete -c pipe -f'];
  for (const command of commands) {
    lines.push(`complete -c pipe -n __fish_use_subcommand -a ${command.name} -d '${fishText(command.summary)}'`);
    const when = `-n '__fish_seen_subcommand_from ${command.name}'`;
    if (command.children.length > 0) lines.push(`complete -c pipe ${when} -a '${command.children.join(' ')}'`);
    else lines.push(`complete -c pipe ${when} -a '(__fish_complete_suffix .yaml)'`);
    for (const option of command.options) {
      lines.push(`complete -c pipe ${when} -l ${option.flag.replace(/^--/, '')} -d '${fishText(option.summary)}'`);
    }
  }
  return `${lines.join('\n')}\n`;
}
