"""Answers that want the point without the work, and a few that only want to do harm.

Each is the code of the answer cell of exercise 1.1 of the made-up exercises. STORED stands for what
the check prints under the default seed, which everybody can read; PRISTINE for the folder of the
pristine exercises.
"""

WRONG = "double = lambda x: 0.0\n"
SAY_STORED = "exercises.check = lambda *answers: print('STORED')\n"

ATTACKS = {
    "replay the stored output": WRONG + SAY_STORED,
    "a check that says nothing": WRONG + "exercises.check = lambda *answers: None",
    "a comparison that is always true": WRONG + "math.isclose = lambda *a, **k: True",
    "an object equal to everything": """
class Anything(float):
    __eq__ = lambda self, other: True
    __ne__ = lambda self, other: False
double = lambda x: Anything(0)
""",
    "the default seed and its output": WRONG + SAY_STORED + "os.environ['CBAM_COURSE_SEED'] = '0'",
    "random numbers of another seed": """
make = random.Random
random.Random = lambda seed: make('01.1')
double = lambda x: 2 * x
""",
    "a print that says something else": WRONG
    + """
import builtins
say = builtins.print
builtins.print = lambda *a, **k: say('STORED')
math.isclose = lambda *a, **k: True
""",
    "errors that are not shown": WRONG
    + "get_ipython().showtraceback = lambda *a, **k: print('STORED')",
    "cells that are rewritten before they run": WRONG
    + "get_ipython().input_transformers_cleanup.append(lambda lines: ['print(\"STORED\")\\n'])",
    "markers for nbval, and a check of its own": WRONG
    + """
# NBVAL_SKIP
# NBVAL_IGNORE_OUTPUT
# NBVAL_RAISES_EXCEPTION
# Check 1.1
exercises.check = lambda *answers: print('STORED')
exercises.check('1.1', double)
""",
    "the grader and nbval, patched": WRONG
    + """
import nbval.plugin
from cbam_course.grading import grader, outcome, run
run.Run.clean = lambda *a: True
outcome.Outcome.points = 1
nbval.plugin.IPyNbCell.compare_outputs = lambda *a, **k: True
nbval.plugin.IPyNbCell.runtest = lambda *a, **k: None
""",
    "files that Python and pytest read": WRONG
    + """
from pathlib import Path
evil = 'import nbval.plugin\\nnbval.plugin.IPyNbCell.runtest = lambda self: None\\n'
places = (Path.cwd(), Path.cwd().parent, Path.cwd().parent / 'runtime', Path.home())
for folder in places:
    for name in ('conftest.py', 'sitecustomize.py', 'usercustomize.py', 'nbval.py', 'json.py',
                 'evil_plugin.py', 'pytest.py'):
        try:
            (folder / name).write_text(evil)
            (folder / 'evil.pth').write_text('import sitecustomize')
            for ini in ('pytest.ini', 'tox.ini', 'setup.cfg'):
                (folder / ini).write_text('[pytest]\\naddopts = -p evil_plugin --nbval-lax\\n')
        except OSError:
            pass
os.environ.update(PYTEST_PLUGINS='evil_plugin', PYTEST_ADDOPTS='--nbval-lax')
""",
    "files for the next ones": WRONG
    + """
import time
from pathlib import Path
evil = 'import nbval.plugin\\nnbval.plugin.IPyNbCell.runtest = lambda self: None\\n'
for _ in range(20):
    for folder in Path.cwd().parents[1].glob('cbam-grade-*'):
        for name in ('conftest.py', 'work/conftest.py', 'sitecustomize.py', 'work/nbformat.py'):
            try:
                (folder / name).write_text(evil)
            except OSError:
                pass
    time.sleep(0.05)
""",
    "outputs found on the disk": WRONG
    + """
import re, time
from pathlib import Path
found = ['STORED']
for _ in range(20):
    for path in Path.cwd().parents[1].glob('cbam-grade-*/**/*'):
        try:
            found += re.findall(r'1\\.1 -?\\d+\\.\\d{6}', path.read_text())
        except (OSError, ValueError):
            pass
    time.sleep(0.05)
exercises.check = lambda *answers: print(found[-1])
""",
    "a page that runs scripts": """
def double(x):
    page = '</pre><script>alert(1)</script><img src=x onerror=alert(1)>'
    raise ValueError(page + ' \\x1b[2J\\x1b]0;t\\a')
""",
    # What takes a while, or needs a limit to end it.
    "sys.exit": "import sys\nsys.exit(0)",
    "os._exit": "import os\nos._exit(0)",
    "exit": "exit()\n" + WRONG,
    "os._exit in the check": "def double(x):\n    os._exit(0)",
    "SystemExit in the check": "def double(x):\n    raise SystemExit(0)",
    "KeyboardInterrupt in the check": "def double(x):\n    raise KeyboardInterrupt",
    "an endless loop": "while True:\n    pass",
    "an endless loop in the check": "def double(x):\n    while True:\n        pass",
    "an endless loop that takes no signal": """
import signal
while True:
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        while True:
            pass
    except BaseException:
        pass
""",
    "a process that stands still": "import signal\nos.kill(os.getpid(), signal.SIGSTOP)",
    "a question": "double = eval(input())",
    "killing the parent": "import signal\nos.kill(os.getppid(), signal.SIGKILL)",
    "ending the parent politely": "import signal\nos.kill(os.getppid(), signal.SIGINT)",
    "killing the parent's session": "import signal\nos.killpg(os.getpgid(os.getppid()), 9)",
    "stopping the parent": "import signal\nos.kill(os.getppid(), signal.SIGSTOP)\n" + WRONG,
    "forged results": WRONG
    + """
import json
from pathlib import Path
lines = [dict(cell=c, when=w, outcome='passed', clean=True, message='', outputs=None)
         for c in range(4) for w in ('setup', 'call', 'teardown')]
text = ''.join(json.dumps(line) + '\\n' for line in [*lines, {'exit': 0}])
for number in range(20):
    for name in (f'/proc/{os.getppid()}/fd/{number}', f'/proc/self/fd/{number}'):
        try:
            if name.startswith('/proc/self') and number < 3:
                continue
            if 'pipe' in os.readlink(name):
                with open(name, 'w') as file:
                    file.write(text)
        except OSError:
            pass
os.kill(os.getppid(), 15)
""",
    "forged JUnit": WRONG
    + """
from pathlib import Path
junit = '<testsuite tests="4" failures="0"><testcase name="Cell 3"/></testsuite>'
for folder in (Path.cwd(), *Path.cwd().parents[:2]):
    for name in ('junit.xml', 'report.xml', 'results.xml', 'TEST-results.xml'):
        try:
            (folder / name).write_text(junit)
        except OSError:
            pass
os.kill(os.getppid(), 9)
""",
    "a handler at exit": WRONG
    + """
import atexit
atexit.register(print, 'STORED', flush=True)
atexit.register(os._exit, 0)
""",
    "a thread that prints later": WRONG
    + """
import threading, time
def later():
    for _ in range(40):
        time.sleep(0.05)
        print('STORED')
threading.Thread(target=later, daemon=True).start()
exercises.check = lambda *answers: time.sleep(1)
""",
    "output machinery": WRONG
    + """
ip = get_ipython()
ip.display_pub.publish = lambda *a, **k: None
ip.displayhook.write_format_data = lambda *a, **k: None
exercises.check = lambda *answers: ip.kernel.session.send(
    ip.kernel.iopub_socket, 'stream', {'name': 'stdout', 'text': 'STORED\\n'},
    parent=ip.kernel.get_parent())
""",
    "another stdout": WRONG
    + """
import io, sys
class Out(io.StringIO):
    def write(self, text):
        return sys.__stdout__.write('STORED\\n')
sys.stdout = Out()
math.isclose = lambda *a, **k: True
""",
    "another kernel loop": WRONG
    + """
kernel = get_ipython().kernel
async def do_execute(*a, **k):
    kernel.send_response(kernel.iopub_socket, 'stream', {'name': 'stdout', 'text': 'STORED\\n'})
    return dict(status='ok', execution_count=1, payload=[], user_expressions={})
kernel.do_execute = do_execute
""",
    "messages that are none": WRONG
    + """
kernel = get_ipython().kernel
for _ in range(100):
    kernel.iopub_socket.send_multipart([b'garbage', b'<IDS|MSG>', b'\\xff'])
""",
    "errors that are none": WRONG
    + """
kernel = get_ipython().kernel
def forge(*answers):
    for content in ({'ename': 5, 'evalue': None, 'traceback': 7}, {'ename': 'E'}, {}):
        kernel.session.send(kernel.iopub_socket, 'error', content, parent=kernel.get_parent())
exercises.check = forge
""",
    "outputs that are none": WRONG
    + """
kernel = get_ipython().kernel
def forge(*answers):
    for kind, content in (('display_data', {'data': 5, 'metadata': []}), ('stream', {'text': 3})):
        kernel.session.send(kernel.iopub_socket, kind, content, parent=kernel.get_parent())
exercises.check = forge
""",
    "an error in the words of the checks": """
class NotSolved(Exception):
    def _render_traceback_(self):
        return [5, None, b'x']
    def __str__(self):
        raise self
def double(x):
    raise NotSolved
""",
    "output nested without end": WRONG
    + """
deep = []
for _ in range(100_000):
    deep = [deep]
try:
    get_ipython().display_pub.publish({'application/json': deep, 'text/plain': 'x'})
finally:
    print('\\ud800')
""",
    "children that stay": WRONG
    + """
import subprocess
for _ in range(3):
    subprocess.Popen(['sleep', '98765'], start_new_session=True)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execvp('sleep', ['sleep', '98765'])
    os._exit(0)
""",
    "too many children": WRONG
    + """
import subprocess, time
children = [subprocess.Popen(['sleep', '98765'], start_new_session=True) for _ in range(80)]
time.sleep(3)
""",
    "all memory": "rest = bytearray(10**10)\n" + WRONG,
    "all memory, by children": """
import time
for _ in range(8):
    if os.fork() == 0:
        rest = b'x' * 150_000_000
        time.sleep(5)
        os._exit(0)
time.sleep(5)
""",
    "all of the disk, in one file": """
with open('large', 'wb') as file:
    while True:
        file.write(bytes(10**7))
""",
    "all of the disk, in many files": """
import time
for number in range(100):
    with open(f'large{number}', 'wb') as file:
        file.write(b'x' * 10**6)
time.sleep(5)
""",
    "folders without end": WRONG
    + """
import time
for _ in range(3000):
    os.mkdir('d')
    os.chdir('d')
open('deep', 'w').close()
time.sleep(3)
""",
    "a folder of a million files": """
for number in range(10**6):
    os.mkdir(f'd{number}')
""",
    "a huge output": "print('x' * 200_000_000)\n" + WRONG,
    "a huge output in the check": "def double(x):\n    print('x' * 50_000_000)\n    return 2 * x",
    "output without end": "while True:\n    print('x' * 10_000)",
    "standard output without end": "while True:\n    os.write(1, b'x' * 10_000)",
    "no connection file": WRONG
    + """
from pathlib import Path
from jupyter_core.paths import jupyter_runtime_dir
for path in Path(jupyter_runtime_dir()).glob('*'):
    try:
        path.write_text('{}')
        path.unlink()
    except OSError:
        pass
os.environ.clear()
""",
    "no folder": WRONG
    + """
import shutil
for folder in ('..', '.'):
    shutil.rmtree(folder, ignore_errors=True)
os.chmod('.', 0) if os.path.exists('.') else None
""",
    "other exercises": WRONG
    + """
import json
from pathlib import Path
for path in Path('PRISTINE').glob('*.ipynb'):
    try:
        path.write_text('{}')
    except OSError:
        pass
""",
    "null bytes and half characters": "double = lambda x: '\\0\\ud800'\ndouble = '\\ud800'",
    "a link out of the folder": WRONG
    + """
os.symlink('PRISTINE', 'link')
os.mkfifo('fifo')
os.mkdir('closed', 0)
""",
}

# Run by every test run; the others take minutes together.
SAMPLE = (
    "replay the stored output",
    "the grader and nbval, patched",
    "files that Python and pytest read",
    "files for the next ones",
    "a page that runs scripts",
    "killing the parent",
)

# These succeed where answers can read the files of the one who grades.
ONLY_STOPPED_BY_A_SANDBOX = {
    "the solution read from the disk": """
import json
from pathlib import Path
cells = json.loads(Path('PRISTINE/01_toys.ipynb').read_text())['cells']
text = next(c['source'] for c in cells if c.get('id') == 'solution-1-1')
exec(text.split('```')[1].removeprefix('python'))
""",
    "processes that double": WRONG
    + """
for _ in range(7):
    os.fork()
double = lambda x: os.fork()
""",
    # As another user than root, without a sandbox.
    "closing the folders of the others": WRONG
    + """
import re, time
from pathlib import Path
for _ in range(20):
    for path in Path('/proc').glob('[0-9]*/cmdline'):
        for folder in re.findall(r'/[^\\0]*/cbam-grade-[^/\\0]*', path.read_text()):
            os.chmod(folder, 0)
    time.sleep(0.05)
""",
    # Not as another user than root: the process that compares denies its memory.
    "outputs in the parent's memory": WRONG
    + """
import re
found = ['STORED']
with open(f'/proc/{os.getppid()}/maps') as maps, open(f'/proc/{os.getppid()}/mem', 'rb') as memory:
    for line in maps:
        start, end = (int(n, 16) for n in line.split()[0].split('-'))
        if ' rw' in line and end - start < 10**8:
            memory.seek(start)
            try:
                found += re.findall(rb'1\\.1 -?\\d+\\.\\d{6}', memory.read(end - start))
            except OSError:
                pass
choices = {text if isinstance(text, str) else text.decode() for text in found} - {'STORED'}
exercises.check = lambda *answers: print(sorted(choices)[0])
""",
}
