// What both entries (extension.tsx, console.tsx) begin with: the look, the cache of answers, and a last net under the page.
import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { Component, type ReactNode, StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { isApiError } from './api/http.ts'
import { Problem } from './components/basics.tsx'
import './look/tokens.css'
import './look/base.css'
import './look/parts.css'
import './look/tables.css'
import './look/mapping.css'
import './look/pages.css'

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 500,
      // Only silence is worth asking again by itself; a refusal stays one.
      retry: (failures, error) => failures < 2 && isApiError(error, 'unreachable'),
      refetchOnWindowFocus: true
    }
  }
})

export function showPage(page: ReactNode): void {
  const root = document.getElementById('root')
  if (!root) throw new Error('The page has no #root')
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={queryClient}>
        <LastNet>{page}</LastNet>
      </QueryClientProvider>
    </StrictMode>
  )
}

class LastNet extends Component<{ children: ReactNode }, { error: unknown }> {
  override state: { error: unknown } = { error: null }

  static getDerivedStateFromError(error: unknown): { error: unknown } {
    return { error }
  }

  override render(): ReactNode {
    if (this.state.error === null) return this.props.children
    return (
      <main className="alone">
        <Problem error={this.state.error} />
      </main>
    )
  }
}
