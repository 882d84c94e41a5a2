// How far a long command is, on stderr: one line that is written over on a terminal, a line now and then elsewhere, nothing at all
// where it is soon done.

const everyMs = 1_000

export function createProgress(out: NodeJS.WriteStream = process.stderr): { show(text: string): void; end(): void } {
  let shownAt = Date.now()
  let shown = false
  return {
    show(text) {
      if (Date.now() - shownAt < everyMs) return
      shownAt = Date.now()
      shown = true
      out.write(out.isTTY ? `\r\u001b[K${text}` : `${text}\n`)
    },
    end() {
      if (shown && out.isTTY) out.write('\r\u001b[K')
    }
  }
}
