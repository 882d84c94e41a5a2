// The small parts of every page: button, notice, empty beginning, waiting, ids that copy whole, numbers, progress.
import { type ButtonHTMLAttributes, type ReactNode, useEffect, useRef, useState } from 'react'
import { isApiError } from '../api/http.ts'
import { Icon } from './icon.tsx'
import type { Tone } from './state.tsx'

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  look?: 'primary' | 'secondary' | 'danger' | 'plain'
  /** What it is doing right now; the button stays focusable and heard, and does nothing when pressed again. */
  busy?: string | false | undefined
}

export function Button({ look = 'secondary', busy, children, onClick, type = 'button', ...rest }: ButtonProps) {
  return (
    <button
      {...rest}
      type={type}
      className={`button button-${look}`}
      aria-disabled={busy ? true : undefined}
      // What it is doing replaces what it is called: a name that hides the shown words would mislead.
      aria-label={busy ? undefined : rest['aria-label']}
      onClick={busy ? event => event.preventDefault() : onClick}
    >
      {busy ? (
        <>
          <Icon name="turning" className="spin" />
          {busy}
        </>
      ) : (
        children
      )}
    </button>
  )
}

const noticeIcons = { good: 'checked', moving: 'info', wait: 'failing', bad: 'failing', quiet: 'info' } as const

export function Notice({ tone, title, children, live = false }: { tone: Tone; title?: ReactNode; children?: ReactNode; live?: boolean }) {
  return (
    <div className={`notice tone-${tone}`} role={tone === 'bad' && live ? 'alert' : live ? 'status' : undefined}>
      <Icon name={noticeIcons[tone]} />
      <div className="notice-body">
        {title ? <strong>{title}</strong> : null}
        {children}
      </div>
    </div>
  )
}

/** What went wrong, what to do, and the id by which the log is searched. Nothing when there is no error. */
export function Problem({ error, retry }: { error: unknown; retry?: (() => void) | undefined }) {
  if (!error) return null
  const known = isApiError(error) ? error : null
  return (
    <Notice tone="bad" live title={known?.message ?? 'This page ran into an error of its own.'}>
      <p>{known?.remedy ?? (known ? null : 'Reload the page. If it comes back, tell whoever runs Quayside.')}</p>
      {retry || known?.requestId ? (
        <div className="row">
          {retry ? (
            <Button look="plain" onClick={retry}>
              Try again
            </Button>
          ) : null}
          {known?.requestId ? (
            <span className="meta">
              Request <Id value={known.requestId} />
            </span>
          ) : null}
        </div>
      ) : null}
    </Notice>
  )
}

export function Empty({ children, action }: { children: ReactNode; action?: ReactNode }) {
  return (
    <div className="empty">
      <p>{children}</p>
      {action}
    </div>
  )
}

/** Keeps the layout while something loads, and says after a second what it waits for. */
export function Waiting({ label, lines = 3 }: { label: string; lines?: number }) {
  const [late, setLate] = useState(false)
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), 1000)
    return () => clearTimeout(timer)
  }, [])
  return (
    <div className="stack-tight" aria-busy="true">
      {Array.from({ length: lines }, (_, index) => (
        <div key={index} className="skeleton" style={{ width: `${92 - ((index * 23) % 47)}%` }} />
      ))}
      <output className="meta">{late ? `Waiting for ${label}…` : ''}</output>
    </div>
  )
}

/** The heading of what just opened takes the focus, which the button that opened it takes away with it. */
export function useFocused<T extends HTMLElement>() {
  const element = useRef<T>(null)
  useEffect(() => element.current?.focus(), [])
  return element
}

/** Shown shortened in the middle, copied whole. */
export function Id({ value, short = true }: { value: string; short?: boolean }) {
  const [copied, setCopied] = useState(false)
  useEffect(() => {
    if (!copied) return
    const timer = setTimeout(() => setCopied(false), 1500)
    return () => clearTimeout(timer)
  }, [copied])
  return (
    <span className="copy">
      <code title={value}>{short ? shortened(value) : value}</code>
      <Button
        look="plain"
        aria-label={`Copy ${value}`}
        onClick={() =>
          void navigator.clipboard.writeText(value).then(
            () => setCopied(true),
            () => {}
          )
        }
      >
        <Icon name={copied ? 'check' : 'copy'} />
        <output className="only-heard">{copied ? 'Copied' : ''}</output>
      </Button>
    </span>
  )
}

/** 'blt1a2b…9f0e'. Short ids stay whole. */
export function shortened(value: string): string {
  return value.length <= 16 ? value : `${value.slice(0, 8)}…${value.slice(-5)}`
}

const numbers = new Intl.NumberFormat('en')
export const count = (value: number): string => numbers.format(value)
/** '1 sync', '3 syncs'. */
export const counted = (value: number, one: string, many = `${one}s`): string => `${count(value)} ${value === 1 ? one : many}`

export function Progress({ done, total, label }: { done: number; total: number | null; label: string }) {
  const words = total === null ? `${count(done)}, total not known` : `${count(done)} of ${count(total)}`
  // Without a value the element itself shows that something moves and nobody knows how far.
  return (
    <progress
      className="progress"
      aria-label={label}
      aria-valuetext={words}
      max={1}
      {...(total === null ? {} : { value: total === 0 ? 1 : Math.min(1, done / total) })}
    />
  )
}
