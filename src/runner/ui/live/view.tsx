/** The Ink side of the live view: finished lines go up into the scrollback, a few rows below them are redrawn. */
import { Box, Static, Text, render, useInput } from 'ink';
import { useSyncExternalStore } from 'react';
import type { ReactElement } from 'react';

/** One picture of the screen. A new object for each picture, so that React sees that it changed. */
export interface Frame {
  readonly done: readonly string[];
  readonly rows: readonly string[];
}

export interface FrameSource {
  subscribe(listener: () => void): () => void;
  current(): Frame;
}

function LiveView(props: { readonly source: FrameSource; readonly onKey: (key: string) => void }): ReactElement {
  const frame = useSyncExternalStore(props.source.subscribe, props.source.current);
  useInput((input, key) => props.onKey(key.ctrl && input === 'c' ? 'interrupt' : key.escape ? 'escape' : input));
  return (
    <>
      <Static items={[...frame.done]}>{(line, index) => <Text key={index}>{line === '' ? ' ' : line}</Text>}</Static>
      <Box flexDirection="column">
        {frame.rows.map((row, index) => (
          <Text key={index} wrap="truncate-end">
            {row}
          </Text>
        ))}
      </Box>
    </>
  );
}

/** Puts the view on the terminal. Keys come as one character, or as `interrupt` (Ctrl-C) and `escape`. */
export function mountLiveView(stream: NodeJS.WriteStream, source: FrameSource, onKey: (key: string) => void): { readonly unmount: () => Promise<void> } {
  const ink = render(<LiveView source={source} onKey={onKey} />, {
    stdout: stream, stderr: stream, stdin: process.stdin, exitOnCtrlC: false, patchConsole: false, maxFps: 8,
  });
  return {
    unmount: async () => {
      const ended = ink.waitUntilExit();
      ink.unmount();
      await ended;
    },
  };
}
