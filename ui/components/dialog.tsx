// A dialog before something that matters: says what, how many and whether it can be undone. Radix gives it focus, Escape and
// its role. Its own Overlay is left out on purpose: it writes an inline <style>, which the pages' policy forbids.
import { Dialog } from 'radix-ui'
import type { ReactNode } from 'react'
import { Button, Problem } from './basics.tsx'

interface ConfirmProps {
  open: boolean
  onClose: () => void
  title: string
  children: ReactNode
  /** A verb with its object: 'Revoke key'. */
  action: string
  /** What is not done instead: 'Keep the token'. */
  instead?: string
  busy?: string | false
  error?: unknown
  danger?: boolean
  onConfirm: () => void
}

export function Confirm({
  open,
  onClose,
  title,
  children,
  action,
  instead = 'Leave it',
  busy,
  error,
  danger = false,
  onConfirm
}: ConfirmProps) {
  return (
    <Modal open={open} onClose={onClose} title={title}>
      <div className="stack-tight">{children}</div>
      <Problem error={error} />
      <div className="row">
        <Button look={danger ? 'danger' : 'primary'} busy={busy} onClick={onConfirm}>
          {action}
        </Button>
        <Button onClick={onClose}>{instead}</Button>
      </div>
    </Modal>
  )
}

export function Modal({ open, onClose, title, children }: { open: boolean; onClose: () => void; title: string; children: ReactNode }) {
  return (
    <Dialog.Root open={open} onOpenChange={next => (next ? undefined : onClose())}>
      <Dialog.Portal>
        <div className="dialog-veil" />
        <Dialog.Content className="dialog stack" aria-describedby={undefined}>
          <Dialog.Title>{title}</Dialog.Title>
          {children}
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  )
}
