// A value as JSON text. What does not parse stays in the box with the parser's words under it, and out of the entry.
import { useState } from 'react'

export function JsonField({ id, disabled, value, set }: { id: string; disabled: boolean; value: unknown; set: (next: unknown) => void }) {
  const [text, setText] = useState<string | null>(null)
  const [problem, setProblem] = useState<string | null>(null)
  const shown = text ?? (value === undefined ? '' : JSON.stringify(value, null, 2))
  return (
    <>
      <textarea
        id={id}
        className="json"
        disabled={disabled}
        spellCheck={false}
        rows={Math.min(14, Math.max(2, shown.split('\n').length))}
        value={shown}
        aria-invalid={problem !== null}
        onChange={event => {
          const next = event.target.value
          setText(next)
          try {
            const parsed: unknown = next.trim() === '' ? null : JSON.parse(next)
            setProblem(null)
            set(parsed)
          } catch (error) {
            setProblem((error as Error).message)
          }
        }}
        onBlur={() => {
          if (problem === null) setText(null)
        }}
      />
      {problem ? (
        <span className="bad meta" role="alert">
          Not JSON yet: {problem}
        </span>
      ) : null}
    </>
  )
}
