"""Small file systems in a mount name space of its own, for tests of disks that are full or cannot be written."""
import os
import subprocess
import sys

ALONE = "CONTIMG_TEST_ALONE"  # set in the mount name space


def enter():
    """Before unittest.main(): the test begins anew in a name space of its own, where that is allowed."""
    if ALONE in os.environ:
        return
    # In a chroot the root is no mount whose propagation could be changed.
    for how, word in ((["unshare", "--mount"], "root"), (["unshare", "--user", "--map-root-user", "--mount"], "uid"),
                      (["unshare", "--mount", "--propagation", "unchanged"], "root")):
        if subprocess.run([*how, "true"], capture_output=True, check=False).returncode == 0:
            os.environ[ALONE] = word
            os.execvp(how[0], [*how, sys.executable, *sys.argv])


def mount(test, place, size):
    """An empty one of this size there; without the right to, the test is skipped."""
    if ALONE not in os.environ:
        test.skipTest("mounting is not allowed here (unshare --mount)")
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "tmpfs", place], capture_output=True,
                          text=True, check=False)
    if done.returncode != 0:
        test.skipTest(f"mounting is not allowed here: {done.stderr.strip()}")
    test.addCleanup(subprocess.run, ["umount", "-l", place], check=False)
    return place
