// The receipt of an organization's erasing. The erasing ends the session of whoever asked for it, so it is kept beside the pages, in
// this window's memory, and the login page shows it as well, until the window is closed.
import { useEffect, useRef, useSyncExternalStore } from 'react'
import type { ErasureReceipt } from '../../server/http/contract/console.ts'
import { counted, Notice } from '../components/basics.tsx'

let kept: ErasureReceipt | null = null
const listeners = new Set<() => void>()

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

export function useReceipt(): ErasureReceipt | null {
  return useSyncExternalStore(subscribe, () => kept)
}

export function keepReceipt(receipt: ErasureReceipt): void {
  kept = receipt
  for (const listener of listeners) listener()
}

export function Receipt({ receipt }: { receipt: ErasureReceipt }) {
  const text = JSON.stringify(receipt, null, 2)
  const { name } = receipt.organization
  const link = useRef<HTMLAnchorElement>(null)
  useEffect(() => {
    const url = URL.createObjectURL(new Blob([text], { type: 'application/json' }))
    if (link.current) link.current.href = url
    return () => URL.revokeObjectURL(url)
  }, [text])
  return (
    <section className="section" aria-label="Receipt">
      <Notice tone="good" live title={`The data of ${name} is deleted.`}>
        <p>This is the receipt. Nothing here can tell it again: take it along before you close this window.</p>
      </Notice>
      {receipt.tokensLeft.length > 0 ? (
        <Notice tone="wait" title={`${counted(receipt.tokensLeft.length, 'token still stands', 'tokens still stand')} in Contentstack.`}>
          <ul className="plain-list">
            {receipt.tokensLeft.map(token => (
              <li key={`${token.stackName} ${token.name}`}>
                <strong>{token.name}</strong> in {token.stackName}
              </li>
            ))}
          </ul>
          <p>A person deletes what stands there, under Settings, Tokens, Management Tokens.</p>
        </Notice>
      ) : null}
      {/* Longer than a screen: it scrolls inside its frame, which the keyboard can reach. */}
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <pre className="secret receipt" tabIndex={0} aria-label="The receipt as it came">
        {text}
      </pre>
      <div className="row">
        {/* Its address is made of the text above, once it stands on the page. */}
        {/* oxlint-disable-next-line jsx-a11y/anchor-is-valid */}
        <a
          ref={link}
          className="button button-primary"
          href="#receipt"
          download={`quayside-erasure-${name.replaceAll(/[^\p{L}\p{N}]+/gu, '-').toLowerCase()}.json`}
        >
          Download receipt
        </a>
      </div>
    </section>
  )
}
