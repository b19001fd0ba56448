/** Debian's Chromium, driven without downloading a browser, and a loopback server whose pages may share memory. */
import { existsSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Browser, chromium, type Page } from 'playwright-core'

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium'

export const haveChromium = existsSync(executablePath)
/** For the title of a skipped suite. */
export const withoutChromium = `needs Chromium at ${executablePath}`

export interface BrowserPage {
  page: Page
  /** What the page said went wrong. */
  problems: string[]
  stop(): Promise<void>
}

/** Opens the page that `answer` serves at `/`. */
export async function openPage(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<BrowserPage> {
  const server = createServer((request, response) => {
    // Shared memory, which the engine's heap is, exists only in isolated pages.
    response.setHeader('cross-origin-opener-policy', 'same-origin')
    response.setHeader('cross-origin-embedder-policy', 'require-corp')
    answer(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  let browser: Browser | undefined
  const stop = async () => {
    await browser?.close()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  try {
    browser = await chromium.launch({
      executablePath,
      headless: true,
      args: ['--no-sandbox', '--disable-background-networking', '--disable-component-update'],
    })
    const page = await browser.newPage()
    const problems: string[] = []
    page.on('pageerror', (error) => problems.push(error.message))
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    return { page, problems, stop }
  } catch (error) {
    await stop()
    throw error
  }
}
