/** Projects to start from. */
import { describe, expect, test } from 'vitest';
import { withSchemaNamed } from '../../../src/runner/cli/init.ts';
import { makeProject } from '../../rig/pipe.ts';

describe('projects to start from', () => {
  test('init --template names the template, and a folder may follow', () => {
    const fresh = makeProject({ 'keep.txt': '' });
    try {
      expect(fresh.pipe(['init', '--template', 'empty', 'there'])).toMatchObject({ code: 0, stdout: expect.stringContaining('now: cd there && pipe run') as string });
      expect(fresh.pipe(['validate', 'there/pipe.yaml'])).toMatchObject({ code: 0 });
      expect(fresh.pipe(['init', '--template', 'empty', 'shell', 'there'])).toMatchObject({ code: 2, stderr: expect.stringContaining('two templates, shell and empty') as string });
      expect(fresh.pipe(['init', '--template', 'pythn'])).toMatchObject({ code: 2, stderr: expect.stringContaining('did you mean `python`') as string });
    } finally {
      fresh.remove();
    }
  });

  test('pipelines of a template name the schema where the program is part of the project, and only there', () => {
    const files = new Map([['pipelines/a.yaml', '# yaml-language-server: $schema=../docs/pipeline.schema.json\npipeline: a\n'], ['b.py', 'pass\n']]);
    expect(withSchemaNamed(files, '/home/x', '/home/x/node_modules/xfolds').get('pipelines/a.yaml'))
      .toBe('# yaml-language-server: $schema=../node_modules/xfolds/docs/pipeline.schema.json\npipeline: a\n');
    expect([...withSchemaNamed(files, '/home/x', '/usr/lib/node_modules/xfolds')]).toEqual([['pipelines/a.yaml', 'pipeline: a\n'], ['b.py', 'pass\n']]);
  });

  test.each(['empty', 'shell', 'python'])('init %s runs as it is', template => {
    const fresh = makeProject({});
    try {
      expect(fresh.pipe(['init', template]).code).toBe(0);
      expect(fresh.pipe(['run'])).toMatchObject({ code: 0 });
      expect(fresh.pipe(['run']).stderr).toContain('nothing to run');
      expect(fresh.pipe(['init', template])).toMatchObject({ code: 2, stderr: expect.stringContaining('there already') as string });
    } finally {
      fresh.remove();
    }
  });
});
