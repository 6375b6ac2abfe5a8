/** Waits until something is so; how long that takes is nobody's business but a limit's. */
export async function until(isSo: () => boolean | Promise<boolean>, limitMs = 30_000): Promise<void> {
  const since = performance.now();
  while (!(await isSo())) {
    if (performance.now() - since > limitMs) throw new Error(`it did not come about within ${limitMs / 1000} s: ${isSo.toString()}`);
    await new Promise<void>(resolve => setTimeout(resolve, 20));
  }
}
