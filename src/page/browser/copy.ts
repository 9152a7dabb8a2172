/** How long a button says what became of it. */
const SAID_MS = 2000;

/** Puts a button to copy it behind every command that has none yet. */
export function addCopyButtons(): void {
  for (const command of document.querySelectorAll(".command")) {
    const code = command.querySelector("code");
    if (code === null || command.querySelector(".copy") !== null) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.dataset["own"] = "";
    say(button, "Copy", code);
    button.addEventListener("click", async () => {
      say(button, (await copy(code)) ? "Copied" : "Selected: press Ctrl+C", code);
      setTimeout(() => say(button, "Copy", code), SAID_MS);
    });
    command.append(button);
  }
}

function say(button: HTMLButtonElement, word: string, code: Element): void {
  button.textContent = word;
  button.setAttribute("aria-label", `${word}: ${code.textContent}`);
}

/** @returns whether it is on the clipboard; where it is not, its text is selected */
async function copy(code: Element): Promise<boolean> {
  // Over http there is no such API but on localhost, and it may be forbidden.
  if (isSecureContext) {
    try {
      await navigator.clipboard.writeText(code.textContent);
      return true;
    } catch {}
  }
  return copySelected(code);
}

/** The old way, which every browser still has. */
function copySelected(code: Element): boolean {
  const selection = getSelection();
  if (selection === null) return false;
  const before = selection.rangeCount > 0 ? selection.getRangeAt(0).cloneRange() : null;
  selection.selectAllChildren(code);
  const copied = document.execCommand("copy");
  if (copied) {
    selection.removeAllRanges();
    if (before !== null) selection.addRange(before);
  }
  return copied;
}
