import type { CommandModule } from './context.ts';

export const schemaCommand: CommandModule = {
  name: 'schema',
  register(program, context) {
    program
      .command('schema')
      .description('print the JSON Schema of pipeline files, for editors')
      .option('--json', 'print JSON (it always is)')
      .action(async () => {
        const { pipelineJsonSchema } = await import('../pipeline/json-schema.ts');
        context.stdout.write(`${JSON.stringify(pipelineJsonSchema(), null, 2)}\n`);
      });
  },
};
